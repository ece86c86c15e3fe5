//! The table of hooks against the object file that the programs are built into.
use std::collections::{BTreeMap, BTreeSet};

use fragwatch_ebpf::table::{
    BLOCK_FALLBACK, Candidate, GLOBALS, Global, HOOKS, Hook, HookInfo, NODE_SEEN, NODE_SEEN_READS,
    SYMBOL_NAME, Source, ZONE_WALK, ZONE_WALK_READS,
    global::{HEAD, SETTINGS, THREAD},
};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SectionIndex, SymbolKind,
};

use crate::live::PROGRAMS;

type Names = BTreeSet<String>;

/// One function of the object file.
struct Routine {
    section: SectionIndex,
    addresses: std::ops::Range<u64>,
    /// Globals and maps that it refers to.
    uses: Names,
    /// Routines that it calls.
    calls: BTreeSet<String>,
}

/// Size of a BPF instruction in bytes.
const INSTRUCTION: u64 = 8;

/// Every function of the object file, and the names of those that are programs.
fn routines() -> (BTreeMap<String, Routine>, Names) {
    let file = object::File::parse(PROGRAMS).expect("an ELF file");
    let text = file.section_by_name(".text").map(|section| section.index());
    let mut routines = BTreeMap::new();
    let mut entries = Names::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let Some(section) = symbol.section_index() else { continue };
        let name = symbol.name().expect("UTF-8").to_owned();
        if symbol.size() == 0 {
            continue;
        }
        if Some(section) != text {
            entries.insert(name.clone());
        }
        let addresses = symbol.address()..symbol.address() + symbol.size();
        let (uses, calls) = (Names::new(), BTreeSet::new());
        routines.insert(name, Routine { section, addresses, uses, calls });
    }
    let at = |section: SectionIndex, address: u64| {
        let mut found = routines.iter().filter(|(_, routine)| {
            routine.section == section && routine.addresses.contains(&address)
        });
        found.next().map(|(name, _)| name.clone())
    };
    let mut references = Vec::new();
    for section in file.sections() {
        for (address, relocation) in section.relocations() {
            let Some(from) = at(section.index(), address) else { continue };
            let RelocationTarget::Symbol(target) = relocation.target() else { continue };
            let target = file.symbol_by_index(target).expect("it is in the table");
            if target.kind() == SymbolKind::Section && target.section_index() == text {
                // A call: the distance is in instructions, from behind the call.
                let data = section.data().expect("it is in the file");
                let field = &data[address as usize + 4..][..4];
                let distance = i32::from_le_bytes(field.try_into().expect("four bytes"));
                let to = (i64::from(distance) + 1).cast_unsigned() * INSTRUCTION;
                let to = text.and_then(|text| at(text, to)).expect("it calls a function");
                references.push((from, to, true));
            } else if let Ok(name) = target.name() {
                references.push((from, name.to_owned(), routines.contains_key(name)));
            }
        }
    }
    for (from, to, is_call) in references {
        let routine = routines.get_mut(&from).expect("it was found above");
        if is_call {
            routine.calls.insert(to)
        } else {
            routine.uses.insert(to)
        };
    }
    (routines, entries)
}

/// What a program refers to, with all that it calls.
fn uses(routines: &BTreeMap<String, Routine>, program: &str) -> Names {
    let (mut uses, mut seen) = (Names::new(), BTreeSet::new());
    let mut open = vec![program];
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        let routine = routines.get(name).unwrap_or_else(|| panic!("there is no function {name}"));
        uses.extend(routine.uses.iter().cloned());
        open.extend(routine.calls.iter().map(String::as_str));
    }
    uses
}

fn programs_of(row: &HookInfo) -> impl Iterator<Item = &'static str> {
    let candidates = row.candidates.iter().flat_map(Candidate::programs);
    candidates.chain(row.guards.iter().map(|guard| guard.program))
}

fn all_globals() -> impl Iterator<Item = &'static Global> {
    GLOBALS.iter().flat_map(|group| group.iter())
}

fn names<'a>(globals: impl IntoIterator<Item = &'a Global>) -> Names {
    globals.into_iter().map(|global| global.name.to_owned()).collect()
}

#[test]
fn the_object_file_has_the_programs_of_the_table_and_no_other() {
    let listed: Names = HOOKS
        .iter()
        .flat_map(programs_of)
        .chain([ZONE_WALK, NODE_SEEN, SYMBOL_NAME, BLOCK_FALLBACK])
        .map(str::to_owned)
        .collect();
    let (_, entries) = routines();
    assert_eq!(entries, listed);
}

#[test]
fn the_object_file_has_the_globals_of_the_table_and_no_other() {
    let listed = names(all_globals());
    assert_eq!(listed.len(), all_globals().count(), "each name stands once");
    let file = object::File::parse(PROGRAMS).expect("an ELF file");
    let in_maps = file.section_by_name("maps").map(|section| section.index());
    let found: Names = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Data && symbol.is_global())
        .filter(|symbol| symbol.section_index() != in_maps)
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        // The licence, and what aya's logging brings along.
        .filter(|name| name != "LICENSE" && name != "AYA_LOG_LEVEL")
        .collect();
    assert_eq!(found, listed);
}

#[test]
fn the_object_file_has_the_maps_that_the_agent_looks_for() {
    use fragwatch_ebpf::map;
    let file = object::File::parse(PROGRAMS).expect("an ELF file");
    let in_maps = file.section_by_name("maps").map(|section| section.index());
    for wanted in [
        map::CREATION_EVENTS,
        map::OTHER_EVENTS,
        map::CGROUP_EVENTS,
        map::OUTSIDE,
        map::ZONE_WALK,
        map::COUNTERS,
        map::SYMBOL,
        map::FALLBACKS,
    ] {
        let found = file.symbols().find(|symbol| symbol.name() == Ok(wanted));
        let section = found.and_then(|symbol| symbol.section_index());
        assert_eq!(section, in_maps, "{wanted}");
    }
}

#[test]
fn programs_read_what_their_hook_lists() {
    let (routines, _) = routines();
    let common = names(HEAD.iter().chain(THREAD).chain(SETTINGS));
    let globals = names(all_globals());
    let read = |programs: &mut dyn Iterator<Item = &'static str>| -> Names {
        let all = programs.flat_map(|program| uses(&routines, program));
        all.filter(|name| globals.contains(name) && !common.contains(name)).collect()
    };
    let listed = |reads: &[&[Global]]| names(reads.iter().flat_map(|group| group.iter()));
    for row in &HOOKS {
        assert_eq!(read(&mut programs_of(row)), listed(row.reads), "{}", row.name);
    }
    assert_eq!(read(&mut [ZONE_WALK].into_iter()), listed(ZONE_WALK_READS));
    assert_eq!(read(&mut [NODE_SEEN].into_iter()), listed(NODE_SEEN_READS));
}

#[test]
fn a_hook_is_found_by_its_name() {
    for row in &HOOKS {
        assert_eq!(row.name.parse(), Ok(row.hook));
        assert_eq!(row.hook.info().name, row.name);
    }
    assert!("no_such_hook".parse::<Hook>().is_err());
}

#[test]
fn records_of_tracepoints_are_read_by_globals() {
    let structures: BTreeSet<&str> = all_globals()
        .filter_map(|global| match global.source {
            Source::Number(structure, ..)
            | Source::Sized(structure, ..)
            | Source::Member(structure, _) => Some(structure),
            _ => None,
        })
        .collect();
    for candidate in HOOKS.iter().flat_map(|row| row.candidates) {
        if let Candidate::Tracepoints { records, .. } = candidate {
            assert!(records.iter().all(|record| structures.contains(record)), "{records:?}");
        }
    }
}
