//! The values of the programs' globals that come from the running kernel's BTF: offsets, sizes and
//! enumerators, as listed in [`fragwatch_ebpf::table`].
use fragwatch_ebpf::table::{
    GLOBALS, Global, HOOKS, Need, Source,
    global::{HEAD, NODE, THREAD, ZONE, ZONELIST},
};
use fragwatch_ebpf::{ORDERS, ORDINARY_LISTS};

use crate::kernel::btf::Btf;

/// What the kernel's BTF says about its structures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offsets {
    /// Names of the programs' globals with their values.
    pub globals: Vec<(&'static str, u32)>,
    /// Names of those that this kernel does not have.
    pub missing: Vec<&'static str>,
    /// Tracepoints' records of which this kernel lacks a member that the programs read.
    pub unusable_records: Vec<&'static str>,
    /// Whether zones can be read on this kernel.
    pub zones_readable: bool,
}

/// Whether a zone's free areas have the orders and the ordinary lists that the programs read.
fn has_known_areas(btf: &Btf) -> bool {
    let orders = btf.member("zone", "free_area").and_then(|areas| btf.array_len(areas));
    let lists = btf.enumerator("migratetype", "MIGRATE_PCPTYPES");
    orders == Some(ORDERS as u32) && lists == Some(ORDINARY_LISTS as u32)
}

/// Resolves every global against the running kernel's BTF.
pub fn resolve(btf: &Btf) -> Offsets {
    let (mut globals, mut missing, mut unusable_records) = (Vec::new(), Vec::new(), Vec::new());
    for global in GLOBALS.iter().copied().flatten() {
        if let Source::Setting(_) = global.source {
            continue;
        }
        match (value(btf, global.source), global.need) {
            (Some(value), _) => globals.push((global.name, value)),
            (None, Need::Needed) => missing.push(global.name),
            (None, Need::Optional) => {}
            (None, Need::Record) => unusable_records.extend(structure(global.source)),
        }
    }
    let zones_readable = has_known_areas(btf) && !missing.iter().any(|name| reads_zones(name));
    Offsets { globals, missing, unusable_records, zones_readable }
}

/// Whether a zone can't be read without this global.
fn reads_zones(name: &str) -> bool {
    [NODE, ZONELIST, ZONE].into_iter().flatten().any(|global| global.name == name)
}

/// What is not seen without a global that is [`Offsets::missing`], in a sentence.
pub fn not_seen_without(name: &str) -> String {
    let reads = |globals: &[Global]| globals.iter().any(|global| global.name == name);
    let hooks: Vec<&str> = HOOKS
        .iter()
        .filter(|row| row.reads.iter().any(|group| reads(group)))
        .map(|row| row.name)
        .collect();
    let what = if reads(HEAD) || reads(THREAD) {
        "what every hook reads".to_owned()
    } else if hooks.is_empty() {
        "what is read of zones".to_owned()
    } else {
        format!("what {} reads", hooks.join(", "))
    };
    format!("{what} by {name}: this kernel's BTF does not have it")
}

/// The structure that a tracepoint's record is.
fn structure(source: Source) -> Option<&'static str> {
    match source {
        Source::Member(structure, _)
        | Source::Sized(structure, ..)
        | Source::Width(structure, _)
        | Source::Number(structure, ..) => Some(structure),
        Source::Size(_)
        | Source::Element(..)
        | Source::Enumerator(..)
        | Source::ZoneCounter(_)
        | Source::Setting(_) => None,
    }
}

fn value(btf: &Btf, source: Source) -> Option<u32> {
    match source {
        Source::Member(structure, paths) => {
            paths.iter().find_map(|path| btf.member(structure, path)).map(|m| m.offset)
        }
        Source::Sized(structure, paths, bytes) => {
            let member = paths.iter().find_map(|path| btf.member(structure, path))?;
            (btf.size_of_number(member)? == bytes).then_some(member.offset)
        }
        Source::Width(structure, name) => {
            let bytes = btf.size_of_number(btf.member(structure, name)?)?;
            matches!(bytes, 4 | 8).then_some(bytes)
        }
        Source::Size(structure) => btf.size_of(structure),
        Source::Number(structure, name, bytes) => {
            let member = btf.member(structure, name)?;
            (btf.size_of_number(member)? >= bytes).then_some(member.offset)
        }
        Source::Element(structure, array, enumeration, enumerator) => {
            let start = btf.member(structure, array)?.offset;
            at(start, btf.enumerator(enumeration, enumerator)?)
        }
        Source::Enumerator(enumeration, enumerator) => btf.enumerator(enumeration, enumerator),
        Source::ZoneCounter(name) => {
            let start = btf.member("zone", "vm_stat")?.offset;
            at(start, btf.enumerator("zone_stat_item", name)?)
        }
        Source::Setting(_) => None,
    }
}

/// Where an element of an array of pointers or longs lies; `None` if that can't be.
fn at(start: u32, element: u32) -> Option<u32> {
    start.checked_add(element.checked_mul(8)?)
}

#[cfg(test)]
mod tests;
