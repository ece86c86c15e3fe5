//! Mem-Info: what `show_mem` and `show_free_areas` print under a report (mm/page_alloc.c, from 6.6
//! on mm/show_mem.c).
//!
//! ```text
//! Mem-Info:
//! active_anon:7355653 inactive_anon:660960 isolated_anon:0
//!  … slab_reclaimable:27412 slab_unreclaimable:13708 … free:39513 …
//! Node 0 DMA32 free:59728kB min:7832kB low:9788kB high:11748kB … present:3094644kB managed:2848912kB … free_cma:0kB …
//! lowmem_reserve[]: 0 0 13055 13055
//! Node 0 DMA32: 203*4kB (UEM) 231*8kB (UEM) … 0*4096kB = 63668kB
//! 100155 total pagecache pages
//! 8379834 pages RAM
//! ```
//! Without NUMA a zone's lines begin with its name.
use crate::parse::field;

/// What was said about the node's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The heading.
    Begin,
    /// Counters of the whole node, in pages; the ones that we use.
    Totals(Totals),
    /// A zone's counters.
    Zone(ZoneLine),
    /// What the zone of the line before keeps for allocations that can use only lower zones, per
    /// zone that they could use at most, in pages.
    LowmemReserve(Vec<u64>),
    /// A zone's free blocks.
    Blocks(BlocksLine),
    /// Page cache in all: the first line behind the zones.
    PageCache,
    /// All pages that the machine has.
    Ram(u64),
    /// Pages that are high memory or for movable allocations only.
    HighMem(u64),
    /// Free swap, in KiB.
    FreeSwap(u64),
    /// Swap, in KiB.
    TotalSwap(u64),
    /// Another line of it.
    Other,
}

/// Counters of the whole node in pages; `None` where a line doesn't have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Free pages.
    pub free: Option<u64>,
    /// Slab pages that can be reclaimed.
    pub slab_reclaimable: Option<u64>,
    /// Slab pages that can't; before 2.6.32 all slab pages.
    pub slab_unreclaimable: Option<u64>,
}

/// Which zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneKey {
    /// NUMA node; `None` where the kernel knows only one.
    pub node: Option<u32>,
    /// Its name.
    pub name: String,
}

/// A zone's counters, in KiB; `None` where the line doesn't have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneLine {
    /// Which zone.
    pub zone: ZoneKey,
    /// Free memory.
    pub free: Option<u64>,
    /// The `min` watermark.
    pub min: Option<u64>,
    /// The `high` watermark.
    pub high: Option<u64>,
    /// Reserved for high-order atomic allocations (from 5.3; what is free of it from 6.12).
    pub reserved_highatomic: Option<u64>,
    /// What the buddy allocator manages (from 3.8).
    pub managed: Option<u64>,
    /// What there is.
    pub present: Option<u64>,
    /// Free memory of CMA.
    pub free_cma: Option<u64>,
}

/// A zone's free blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlocksLine {
    /// Which zone.
    pub zone: ZoneKey,
    /// Per order: how many, how large in KiB, and on which lists (`UMEH`); no letters before 3.9.
    pub orders: Vec<(u64, u64, String)>,
    /// The sum in KiB that ends the line; without it the line is cut.
    pub sum: Option<u64>,
}

/// The names that zones have (mm/page_alloc.c `zone_names`).
const ZONES: [&str; 6] = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"];

/// Parses such a line.
pub(super) fn parse(text: &str) -> Option<Memory> {
    let text = text.trim();
    if text.starts_with("Mem-Info:") || text == "Mem-info:" {
        return Some(Memory::Begin);
    }
    if let Some(rest) = text.strip_prefix("lowmem_reserve[]:") {
        let pages: Result<Vec<u64>, _> = rest.split_ascii_whitespace().map(str::parse).collect();
        return pages.ok().filter(|pages| !pages.is_empty()).map(Memory::LowmemReserve);
    }
    if let Some((zone, rest)) = zone_key(text) {
        if rest.starts_with(" free:") {
            return Some(Memory::Zone(zone_line(zone, rest)));
        }
        if let Some(counts) = rest.strip_prefix(": ")
            && counts.contains('*')
        {
            let (orders, sum) = blocks(counts);
            return Some(Memory::Blocks(BlocksLine { zone, orders, sum }));
        }
        return rest.trim().starts_with("per-cpu").then_some(Memory::Other);
    }
    if let Some((pages, what)) = field::leading_number(text) {
        match what.trim() {
            "total pagecache pages" => return Some(Memory::PageCache),
            "pages RAM" | "pages of RAM" => return Some(Memory::Ram(pages)),
            "pages HighMem/MovableOnly" | "pages HighMem" => return Some(Memory::HighMem(pages)),
            "pages in swap cache"
            | "pages reserved"
            | "reserved pages"
            | "pages cma reserved"
            | "pages hwpoisoned"
            | "pages shared"
            | "pages non-shared"
            | "pages swap cached" => {
                return Some(Memory::Other);
            }
            _ => {}
        }
    }
    if let Some(rest) = text.strip_prefix("Free swap") {
        return Some(
            field::number(rest, "= ")
                .or_else(|| field::number(rest, ":"))
                .map_or(Memory::Other, Memory::FreeSwap),
        );
    }
    if let Some(rest) = text.strip_prefix("Total swap") {
        return Some(
            field::number(rest, "= ")
                .or_else(|| field::number(rest, ":"))
                .map_or(Memory::Other, Memory::TotalSwap),
        );
    }
    if text.starts_with("Swap cache stats:") || text.contains(" hugepages_total=") {
        return Some(Memory::Other);
    }
    totals(text)
}

/// The zone that a line begins with, and what follows it.
fn zone_key(text: &str) -> Option<(ZoneKey, &str)> {
    let (node, rest) = match text.strip_prefix("Node ") {
        Some(rest) => {
            let (node, rest) = field::leading_number(rest)?;
            (Some(u32::try_from(node).ok()?), rest.strip_prefix(' ')?)
        }
        None => (None, text),
    };
    let end = rest.find([' ', ':'])?;
    let (name, rest) = rest.split_at(end);
    ZONES.contains(&name).then(|| (ZoneKey { node, name: name.to_owned() }, rest))
}

fn zone_line(zone: ZoneKey, text: &str) -> ZoneLine {
    let kib = |key: &str| {
        let (number, unit) = field::leading_number(field::after(text, key)?)?;
        // Without its unit the number may be cut.
        (unit.starts_with("kB") || unit.starts_with("KB")).then_some(number)
    };
    ZoneLine {
        zone,
        free: kib(" free:"),
        min: kib(" min:"),
        high: kib(" high:"),
        reserved_highatomic: kib(" free_highatomic:").or_else(|| kib(" reserved_highatomic:")),
        managed: kib(" managed:"),
        present: kib(" present:"),
        free_cma: kib(" free_cma:"),
    }
}

/// Counts of blocks, and the sum behind them. Ends at the first that is cut.
pub(super) fn blocks(text: &str) -> (Vec<(u64, u64, String)>, Option<u64>) {
    let mut orders: Vec<(u64, u64, String)> = Vec::new();
    let mut words = text.split_ascii_whitespace();
    while let Some(word) = words.next() {
        if let Some(letters) = word.strip_prefix('(').and_then(|word| word.strip_suffix(')')) {
            if let Some((.., lists)) = orders.last_mut() {
                letters.clone_into(lists);
            }
        } else if word == "=" {
            let sum = words.next().and_then(|sum| sum.strip_suffix("kB")?.parse().ok());
            return (orders, sum);
        } else {
            let count = word.strip_suffix("kB").and_then(|word| word.split_once('*'));
            let count = count.and_then(|(n, size)| Some((n.parse().ok()?, size.parse().ok()?)));
            let Some((n, size)) = count else { break };
            orders.push((n, size, String::new()));
        }
    }
    (orders, None)
}

fn totals(text: &str) -> Option<Memory> {
    let mut totals = Totals::default();
    let mut counters = 0;
    for word in text.split_ascii_whitespace() {
        let Some((key, value)) = word.split_once(':') else { continue };
        let Ok(pages) = value.parse::<u64>() else { continue };
        counters += 1;
        match key {
            "free" => totals.free = Some(pages),
            "slab_reclaimable" => totals.slab_reclaimable = Some(pages),
            "slab_unreclaimable" | "slab" => totals.slab_unreclaimable = Some(pages),
            "active_anon"
            | "Active_anon"
            | "active_file"
            | "inactive_file"
            | "unevictable"
            | "mapped"
            | "sec_pagetables"
            | "kernel_misc_reclaimable"
            | "free_cma"
            | "free_pcp"
            | "inactive_anon"
            | "isolated_anon"
            | "isolated_file"
            | "dirty"
            | "writeback"
            | "unstable"
            | "shmem"
            | "pagetables"
            | "bounce" => {}
            _ => counters -= 1,
        }
    }
    (counters > 0).then_some(Memory::Totals(totals))
}

#[cfg(test)]
mod tests;
