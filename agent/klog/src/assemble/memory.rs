//! The node's memory in a report, and the zones in it as one allocation saw them.
use fragwatch_core::model::{
    gfp::{Gfp, Traits},
    node::NodeMemory,
    notice::ExcludedZones,
    zone::Zone,
};

use crate::parse::memory::{BlocksLine, Memory, Totals, ZoneKey, ZoneLine};

/// Zones kept for one report.
const MAX_ZONES: usize = 512;

/// What a report says of the node's memory.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryReport {
    /// A line of it was seen.
    pub(super) begun: bool,
    /// A line behind the zones was seen.
    pub(super) ended: bool,
    totals: Totals,
    zones: Vec<(ZoneLine, Vec<u64>)>,
    blocks: Vec<BlocksLine>,
    ram_pages: Option<u64>,
    free_swap_kib: Option<u64>,
    total_swap_kib: Option<u64>,
}

/// What bounds an allocation to some zones and nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach<'a> {
    pub(super) gfp: &'a Gfp,
    pub(super) nodemask: Option<&'a str>,
    pub(super) mems_allowed: Option<&'a str>,
    /// The kernel is older than 4.4; `None` if that isn't known.
    pub(super) per_order_marks: Option<bool>,
}

/// The zones that an allocation could use.
#[derive(Debug, Default)]
pub(super) struct ZonesInReach {
    pub(super) zones: Vec<Zone>,
    pub(super) complete: bool,
}

/// Zones from the lowest, as an allocation falls back from the highest that it may use.
const RANKS: [&str; 5] = ["DMA", "DMA32", "Normal", "HighMem", "Movable"];

fn rank(name: &str) -> usize {
    RANKS.iter().position(|zone| *zone == name).unwrap_or(RANKS.len())
}

/// The highest zone that a mask may use (`gfp_zone`; these bits never moved).
fn highest_zone(raw: u32) -> usize {
    const DMA: u32 = 1;
    const HIGHMEM: u32 = 2;
    const DMA32: u32 = 4;
    const MOVABLE: u32 = 8;
    let highest = if raw & DMA != 0 {
        "DMA"
    } else if raw & DMA32 != 0 {
        "DMA32"
    } else if raw & HIGHMEM == 0 {
        "Normal"
    } else if raw & MOVABLE == 0 {
        "HighMem"
    } else {
        "Movable"
    };
    rank(highest)
}

impl MemoryReport {
    pub(super) fn take(&mut self, memory: Memory) {
        self.begun = true;
        match memory {
            Memory::Begin | Memory::HighMem(_) | Memory::Other => {}
            Memory::Totals(totals) => {
                let known = &mut self.totals;
                known.free = known.free.or(totals.free);
                known.slab_reclaimable = known.slab_reclaimable.or(totals.slab_reclaimable);
                known.slab_unreclaimable = known.slab_unreclaimable.or(totals.slab_unreclaimable);
            }
            Memory::Zone(line) => {
                let known = self.zones.iter().any(|(known, _)| known.zone == line.zone);
                if !known && self.zones.len() < MAX_ZONES {
                    self.zones.push((line, Vec::new()));
                }
            }
            Memory::LowmemReserve(pages) => {
                if let Some((_, reserve)) = self.zones.last_mut()
                    && reserve.is_empty()
                {
                    *reserve = pages;
                }
            }
            Memory::Blocks(line) => {
                let known = self.blocks.iter().any(|known| known.zone == line.zone);
                if !known && self.blocks.len() < MAX_ZONES {
                    self.blocks.push(line);
                }
            }
            Memory::PageCache => self.ended = true,
            Memory::Ram(pages) => (self.ram_pages, self.ended) = (Some(pages), true),
            Memory::FreeSwap(kib) => self.free_swap_kib = Some(kib),
            Memory::TotalSwap(kib) => self.total_swap_kib = Some(kib),
        }
    }

    /// The page size in bytes, which the smallest block has.
    pub(super) fn page_size(&self) -> Option<u64> {
        let sizes = self.blocks.iter().filter_map(|line| line.orders.first());
        let kib = sizes.map(|&(_, kib, _)| kib).find(|kib| kib.is_power_of_two())?;
        kib.checked_mul(1024)
    }

    /// The node's memory as a whole.
    pub(super) fn node(&self, page_size: u64) -> Option<NodeMemory> {
        let bytes = |pages: Option<u64>| pages.map(|pages| pages.saturating_mul(page_size));
        let kib = |kib: Option<u64>| kib.map(|kib| kib.saturating_mul(1024));
        self.begun.then(|| NodeMemory {
            ram: bytes(self.ram_pages),
            free: bytes(self.totals.free),
            slab_reclaimable: bytes(self.totals.slab_reclaimable),
            slab_unreclaimable: bytes(self.totals.slab_unreclaimable),
            total_swap: kib(self.total_swap_kib),
            free_swap: kib(self.free_swap_kib),
        })
    }

    /// Whether zones were seen at all.
    pub(super) fn has_zones(&self) -> bool {
        !self.zones.is_empty()
    }

    /// The zones that an allocation could use, as they stand in the report.
    pub(super) fn zones(&self, reach: Reach, page_size: u64) -> ZonesInReach {
        let traits = reach.gfp.traits;
        let highest = highest_zone(reach.gfp.raw);
        let mut allowed = reach.nodemask.and_then(nodes);
        if allowed.is_none() && traits.is_none_or(|traits| traits.hardwall) {
            allowed = reach.mems_allowed.and_then(nodes);
        }
        let in_reach = |zone: &ZoneKey| {
            let node = zone.node.unwrap_or(0);
            rank(&zone.name) <= highest
                && allowed.as_ref().is_none_or(|ranges| {
                    ranges.iter().any(|&(first, last)| (first..=last).contains(&node))
                })
        };
        let zones: Vec<Zone> = self
            .zones
            .iter()
            .filter(|(line, _)| in_reach(&line.zone))
            .map(|(line, reserve)| self.zone(line, reserve, highest, reach, page_size))
            .collect();
        // Which node an allocation was bound to isn't printed.
        let names = reach.gfp.flags.as_deref().unwrap_or_default();
        let nodes: Vec<_> = zones.iter().map(|zone| zone.node).collect();
        let bound = names.contains("__GFP_THISNODE") && nodes.iter().any(|node| *node != nodes[0]);
        let complete = !zones.is_empty() && !bound && self.is_whole();
        ZonesInReach { zones, complete }
    }

    /// What lies free in zones that an allocation could not use.
    pub(super) fn excluded(&self, reach: Reach, page_size: u64) -> Option<ExcludedZones> {
        let nodes = reach.mems_allowed?;
        let in_reach = self.zones(reach, page_size).zones;
        let usable = |key: &ZoneKey| {
            in_reach
                .iter()
                .any(|zone| zone.node == Some(key.node.unwrap_or(0)) && zone.name == key.name)
        };
        let others = || self.zones.iter().map(|(line, _)| line).filter(|line| !usable(&line.zone));
        let free = |line: &ZoneLine| line.free.unwrap_or(0).saturating_mul(1024);
        let most = others().max_by_key(|line| free(line))?;
        let allowed = self::nodes(nodes)?;
        let of_allowed = |line: &ZoneLine| {
            let node = line.zone.node.unwrap_or(0);
            allowed.iter().any(|&(first, last)| (first..=last).contains(&node))
        };
        Some(ExcludedZones {
            nodes: nodes.to_owned(),
            none_in_reach: in_reach.is_empty() && others().any(of_allowed),
            free: free(most),
            zone: format!("zone {} of node {}", most.zone.name, most.zone.node.unwrap_or(0)),
        })
    }

    /// No line of a zone is missing, as far as that shows: the zones' lines come all before those of
    /// their blocks, and each zone has both.
    fn is_whole(&self) -> bool {
        self.zones.len() == self.blocks.len()
            && self.zones.iter().all(|(line, _)| self.blocks_of(&line.zone).is_some())
    }

    fn blocks_of(&self, zone: &ZoneKey) -> Option<&BlocksLine> {
        self.blocks.iter().find(|line| line.zone == *zone)
    }

    fn zone(
        &self,
        line: &ZoneLine,
        reserve: &[u64],
        highest: usize,
        reach: Reach,
        page_size: u64,
    ) -> Zone {
        let page_kib = (page_size / 1024).max(1);
        let pages = |kib: Option<u64>| kib.map(|kib| kib / page_kib);
        let orders = self.blocks_of(&line.zone).and_then(|line| whole_blocks(line, page_kib));
        let orders = orders.unwrap_or_default();
        let lowmem_reserve = self.reserve(&line.zone, reserve, highest);
        Zone {
            node: Some(line.zone.node.unwrap_or(0)),
            name: line.zone.name.clone(),
            free: pages(line.free).unwrap_or(0),
            free_cma: pages(line.free_cma).unwrap_or(0),
            managed: pages(line.managed.or(line.present).or(line.free)).unwrap_or(0),
            min_watermark: pages(line.min).unwrap_or(0),
            high_watermark: pages(line.high),
            lowmem_reserve: lowmem_reserve.unwrap_or(0),
            reserved_highatomic: pages(line.reserved_highatomic)
                .unwrap_or_else(|| in_atomic_reserve(&orders)),
            blocks: orders.iter().map(|(n, _)| *n).collect(),
            usable_orders: usable(&orders, reach.gfp.traits),
            per_order_marks: reach.per_order_marks.unwrap_or(false),
            incomplete: line.free.is_none() || line.min.is_none() || lowmem_reserve.is_none(),
        }
    }

    /// What a zone keeps from an allocation whose highest zone is `highest`, in pages.
    ///
    /// The array has an entry for each zone that the kernel is built with, and doesn't name them;
    /// from 6.1 on only zones up to `highest` are printed. An entry is the sum of what the zones of
    /// the node above this one and up to the entry's own manage, so that it is the same over zones
    /// that are empty. The entry to take is that of the highest zone in reach that is printed. In that
    /// zone's own array zeros reach up to itself; in the array of the next lower zone that has pages
    /// they end right before it.
    fn reserve(&self, zone: &ZoneKey, reserve: &[u64], highest: usize) -> Option<u64> {
        let own = rank(&zone.name);
        if own == highest {
            return Some(0);
        }
        // Without entries the line is lost; with nothing but zeros `lowmem_reserve_ratio` is off.
        reserve.last()?;
        if reserve.iter().all(|pages| *pages == 0) {
            return Some(0);
        }
        let mut in_reach: Vec<(usize, &[u64])> = self
            .zones
            .iter()
            .filter(|(line, _)| line.zone.node == zone.node)
            .map(|(line, pages)| (rank(&line.zone.name), pages.as_slice()))
            .filter(|(rank, _)| (own..=highest).contains(rank))
            .collect();
        in_reach.sort_by_key(|(rank, _)| *rank);
        let [.., (_, below), (_, top)] = in_reach.as_slice() else {
            // No zone above it that counts has pages.
            return Some(0);
        };
        let zeros = |pages: &[u64]| {
            let n = pages.iter().take_while(|pages| **pages == 0).count();
            (n < pages.len()).then_some(n)
        };
        let of_top = || zeros(top).and_then(|n| n.checked_sub(1));
        let at = zeros(below).or_else(of_top)?;
        reserve.get(at).copied()
    }
}

/// Blocks per order with their lists, if the line is whole: each order twice the size of the one
/// before, and the sum right.
fn whole_blocks(line: &BlocksLine, page_kib: u64) -> Option<Vec<(u64, &str)>> {
    let mut sum = 0u64;
    for (order, (n, kib, _)) in line.orders.iter().enumerate() {
        if page_kib.checked_shl(order as u32) != Some(*kib) {
            return None;
        }
        sum = sum.checked_add(n.checked_mul(*kib)?)?;
    }
    (line.sum == Some(sum))
        .then(|| line.orders.iter().map(|(n, _, lists)| (*n, lists.as_str())).collect())
}

/// Orders, as bits, of which a free block lies on a list that the allocation may take from.
/// Letters (mm/page_alloc.c `show_migration_types`): U E M and, before 4.4, R are for everybody, H
/// for atomic allocations, C for movable ones, I for none. Before 3.9 there are none.
fn usable(orders: &[(u64, &str)], traits: Option<Traits>) -> u32 {
    let atomic = traits.is_some_and(|traits| traits.high && !traits.direct_reclaim);
    let movable = traits.is_some_and(|traits| traits.movable);
    let may_take = |list: char| match list {
        'H' => atomic,
        'C' => movable,
        'I' => false,
        _ => true,
    };
    let mut bits = 0;
    for (order, (n, lists)) in orders.iter().enumerate().take(31) {
        // Without letters its lists aren't known: it may be usable.
        if *n != 0 && (lists.is_empty() || lists.chars().any(may_take)) {
            bits |= 1 << order;
        }
    }
    bits
}

/// Pages of which the lists say that they lie in the atomic reserve: from 4.4 to 5.2 the reserve isn't
/// printed, and is at least as large.
fn in_atomic_reserve(orders: &[(u64, &str)]) -> u64 {
    let reserved = orders.iter().enumerate().filter(|(_, (_, lists))| *lists == "H");
    reserved.fold(0, |sum: u64, (order, (n, _))| {
        sum.saturating_add(n.saturating_mul(1 << order.min(62)))
    })
}

/// Ranges of nodes: `0-1,3`.
fn nodes(list: &str) -> Option<Vec<(u32, u32)>> {
    let ends = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some((low.parse().ok()?, high.parse().ok()?))
    };
    list.split(',').map(ends).collect()
}

#[cfg(test)]
mod tests;
