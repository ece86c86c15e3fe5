//! Names of gfp masks. The bits move between releases: they come from the kernel's BTF
//! (`___GFP_*_BIT`, 6.9 and later), else from a table by its release ([`table`]); without either a
//! mask is printed, not decoded.
mod table;
mod traits;

use serde::{Deserialize, Serialize};

use super::kernel_version::KernelVersion;
use serde_with::skip_serializing_none;

use crate::model::gfp::table::{Compound, Table};

pub use crate::model::gfp::traits::Traits;

/// The order in which the kernel looks for names: that of 6.12 (`__def_gfpflag_names`,
/// include/trace/events/mmflags.h), and in their places those that older kernels had, down to
/// 2.6.32 (include/trace/events/kmem.h). From 6.14 on the kernel's own order differs.
const ORDER: &[&str] = &[
    "GFP_TRANSHUGE",
    "GFP_TRANSHUGE_LIGHT",
    "GFP_HIGHUSER_MOVABLE",
    "GFP_HIGHUSER",
    "GFP_USER",
    "GFP_TEMPORARY",
    "GFP_KERNEL_ACCOUNT",
    "GFP_KERNEL",
    "GFP_NOFS",
    "GFP_ATOMIC",
    "GFP_NOIO",
    "GFP_NOWAIT",
    "GFP_DMA",
    "__GFP_HIGHMEM",
    "GFP_DMA32",
    "__GFP_HIGH",
    "__GFP_ATOMIC",
    "__GFP_WAIT",
    "__GFP_IO",
    "__GFP_FS",
    "__GFP_COLD",
    "__GFP_NOWARN",
    "__GFP_REPEAT",
    "__GFP_RETRY_MAYFAIL",
    "__GFP_NOFAIL",
    "__GFP_NORETRY",
    "__GFP_COMP",
    "__GFP_ZERO",
    "__GFP_NOMEMALLOC",
    "__GFP_MEMALLOC",
    "__GFP_HARDWALL",
    "__GFP_THISNODE",
    "__GFP_RECLAIMABLE",
    "__GFP_KMEMCG",
    "__GFP_MOVABLE",
    "__GFP_ACCOUNT",
    "__GFP_NOACCOUNT",
    "__GFP_NOTRACK",
    "__GFP_NO_KSWAPD",
    "__GFP_WRITE",
    "__GFP_RECLAIM",
    "__GFP_DIRECT_RECLAIM",
    "__GFP_KSWAPD_RECLAIM",
    "__GFP_OTHER_NODE",
    "__GFP_ZEROTAGS",
];

/// A gfp mask.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gfp {
    /// The mask.
    pub raw: u32,
    /// Its names, as the kernel's `%pGg` prints them; `None` if this kernel's bits aren't known.
    pub flags: Option<String>,
    /// What it says about the caller; `None` if this kernel's bits aren't known.
    pub traits: Option<Traits>,
}

impl Gfp {
    /// `__GFP_NOWARN` is set, and `__GFP_NORETRY` or `__GFP_NOMEMALLOC`: the caller mostly has a fallback. The
    /// second is so for huge pages, which are not tried without retries where the program advised them
    /// (`vma_thp_gfp_mask` and `get_huge_zero_page` in mm/huge_memory.c of 6.12). False if that can't be known.
    pub fn has_fallback(&self) -> bool {
        self.traits.is_some_and(|t| t.nowarn && (t.noretry || t.nomemalloc))
    }

    /// Its failure costs a caller that goes on nothing but the attempt: as in [`Self::has_fallback`], or no
    /// room was made for it. So SLUB and vmalloc first try large blocks. False if that can't be known.
    pub fn is_cheap_try(&self) -> bool {
        self.has_fallback() || self.traits.is_some_and(|t| !t.direct_reclaim)
    }
}

/// What a mask means in some kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GfpReading {
    /// The first series of them, `(2, 6)` for 2.6.31.
    pub since: (u32, u32),
    /// All of them, in words: `4.1 to 4.3, 4.5`.
    pub releases: String,
    /// What it means there.
    pub gfp: Gfp,
}

/// The bits of one kernel.
#[derive(Clone, Debug, Default)]
pub struct GfpNames {
    /// Masks with their names, in the order in which they are looked for.
    masks: Vec<(u32, String)>,
    /// The name of a mask of 0.
    zero: &'static str,
}

impl GfpNames {
    /// Takes the bits from the table for a release as `uname -r` or a log prints it
    /// (`3.10.0-514.el7.x86_64`); `None` if that release's bits aren't known.
    pub fn from_release(kernel: &KernelVersion) -> Option<Self> {
        table::for_release(kernel).map(Self::from_table)
    }

    /// The bit of an allocation whose failure is expected; `None` if it isn't known.
    pub fn no_warn_mask(&self) -> Option<u32> {
        self.mask("__GFP_NOWARN")
    }

    /// The bits of which an allocation whose failure is expected has one if its caller mostly has a fallback
    /// ([`Gfp::has_fallback`]); `None` if they aren't known.
    pub fn gives_up_mask(&self) -> Option<u32> {
        Some(self.mask("__GFP_NORETRY")? | self.mask("__GFP_NOMEMALLOC")?)
    }

    /// The bit of an allocation that may wait for reclaim and compaction; `None` if it isn't known.
    pub fn direct_reclaim_mask(&self) -> Option<u32> {
        self.mask("__GFP_DIRECT_RECLAIM")
    }

    /// The bit of an allocation that only one node may serve; `None` if it isn't known.
    pub fn this_node_mask(&self) -> Option<u32> {
        self.mask("__GFP_THISNODE")
    }

    /// Takes the bits from the kernel's own enum of them, `___GFP_*_BIT` with their values (6.9 and
    /// later); knows no name if there are none.
    pub fn from_bits(bits: &[(&str, u32)]) -> Self {
        let single: Vec<(u32, String)> = bits
            .iter()
            .filter_map(|&(name, bit)| {
                let name = name.strip_prefix("___GFP_")?.strip_suffix("_BIT")?;
                // Neither has a meaning: a hole, and the end of the enum.
                let real = !name.starts_with("UNUSED") && name != "LAST";
                real.then_some((1u32.checked_shl(bit)?, format!("__GFP_{name}")))
            })
            .collect();
        let kasan = single.iter().any(|(_, name)| name == "__GFP_SKIP_KASAN");
        let compounds = if kasan { table::COMPOUNDS_OF_BTF_KASAN } else { table::COMPOUNDS_OF_BTF };
        Self::new(&single, compounds, "none")
    }

    fn from_table(table: &Table) -> Self {
        let names = table.bits.split(' ').enumerate().filter(|&(_, name)| name != "-");
        let single: Vec<_> = names.map(|(bit, name)| (1 << bit, format!("__GFP_{name}"))).collect();
        Self::new(&single, table.compounds, table.zero)
    }

    fn new(single: &[(u32, String)], compounds: &[&[Compound]], zero: &'static str) -> Self {
        let ordered =
            ORDER.iter().filter_map(|n| Some((mask(single, compounds, n)?, (*n).to_owned())));
        // Bits that the kernel has no name for in its own print.
        let others = single.iter().filter(|(_, name)| !ORDER.contains(&name.as_str())).cloned();
        let masks = ordered.chain(others).collect();
        Self { masks, zero }
    }

    /// Whether this kernel's bits are known.
    pub fn known(&self) -> bool {
        !self.masks.is_empty()
    }

    /// Names a mask, as `format_flags` does (lib/vsprintf.c): the first that fits whole is taken
    /// out, then the next; what has no name stays a number.
    pub fn decode(&self, raw: u32) -> Gfp {
        if !self.known() {
            return Gfp { raw, flags: None, traits: None };
        }
        let (mut names, rest) = self.split(raw);
        let rest = format!("{rest:#x}");
        if rest != "0x0" {
            names.push(&rest);
        }
        let flags = if names.is_empty() { self.zero.to_owned() } else { names.join("|") };
        Gfp { raw, flags: Some(flags), traits: Some(self.traits(raw)) }
    }

    /// The names in a mask, and the bits without a name.
    fn split(&self, raw: u32) -> (Vec<&str>, u32) {
        let mut names = Vec::new();
        let mut rest = raw;
        for (mask, name) in &self.masks {
            if rest & mask == *mask {
                names.push(name.as_str());
                rest &= !mask;
            }
        }
        (names, rest)
    }

    /// What a mask may mean when its kernel is not known: each reading once, with the
    /// mainline releases that read it so, from the oldest on. Releases in which a bit of it has no
    /// name are left out, if there are others.
    pub fn readings(raw: u32) -> Vec<GfpReading> {
        let mut readings: Vec<(Vec<&Table>, Gfp)> = Vec::new();
        let tables = || table::TABLES.iter().map(|table| (table, Self::from_table(table)));
        let any_whole = tables().any(|(_, names)| names.split(raw).1 == 0);
        for (table, names) in tables() {
            if any_whole && names.split(raw).1 != 0 {
                continue;
            }
            let gfp = names.decode(raw);
            match readings.iter_mut().find(|(_, have)| *have == gfp) {
                Some((tables, _)) => tables.push(table),
                None => readings.push((vec![table], gfp)),
            }
        }
        let reading = |(tables, gfp): (Vec<&Table>, Gfp)| GfpReading {
            since: tables[0].releases.0,
            releases: table::releases(&tables),
            gfp,
        };
        readings.into_iter().map(reading).collect()
    }

    /// The mask of a name, if this kernel has it.
    fn mask(&self, name: &str) -> Option<u32> {
        self.masks.iter().find(|(_, n)| n == name).map(|&(mask, _)| mask)
    }

    fn traits(&self, raw: u32) -> Traits {
        let has = |name: &str| self.mask(name).is_some_and(|mask| raw & mask == mask);
        Traits {
            nowarn: has("__GFP_NOWARN"),
            noretry: has("__GFP_NORETRY"),
            nomemalloc: has("__GFP_NOMEMALLOC"),
            high: has("__GFP_HIGH"),
            // Before 4.4 it was called so.
            direct_reclaim: has("__GFP_DIRECT_RECLAIM") || has("__GFP_WAIT"),
            movable: has("__GFP_MOVABLE"),
            hardwall: has("__GFP_HARDWALL"),
        }
    }
}

/// The bits of a name, `None` if the kernel lacks one of them.
fn mask(single: &[(u32, String)], compounds: &[&[Compound]], name: &str) -> Option<u32> {
    let mut all = compounds.iter().rev().flat_map(|list| list.iter());
    let Some((_, parts)) = all.find(|(n, _)| *n == name) else {
        return single.iter().find(|(_, n)| n == name).map(|&(mask, _)| mask);
    };
    let mut whole = 0;
    for part in parts.split_whitespace() {
        match part.strip_prefix('!') {
            Some(part) => whole &= !mask(single, compounds, part)?,
            None => whole |= mask(single, compounds, part)?,
        }
    }
    // A name that stands for nothing is none.
    (whole != 0).then_some(whole)
}

#[cfg(test)]
pub(crate) mod tests;
