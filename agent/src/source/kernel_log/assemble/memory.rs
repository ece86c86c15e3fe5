//! The node's memory in a report, and the zones in it as one allocation saw them.
use crate::{
    incident::NodeMemory,
    kernel::{
        gfp::{Gfp, Traits},
        zone::Zone,
    },
    source::kernel_log::message::memory::{BlocksLine, Memory, Totals, ZoneKey, ZoneLine},
};

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
        let (blocks, usable_orders) = self
            .blocks_of(&line.zone)
            .and_then(|line| whole_blocks(line, page_kib))
            .map(|orders| {
                (orders.iter().map(|(n, _)| *n).collect(), usable(&orders, reach.gfp.traits))
            })
            .unwrap_or_default();
        let lowmem_reserve = self.reserve(&line.zone, reserve, highest);
        Zone {
            node: Some(line.zone.node.unwrap_or(0)),
            name: line.zone.name.clone(),
            free: pages(line.free).unwrap_or(0),
            free_cma: pages(line.free_cma).unwrap_or(0),
            managed: pages(line.managed.or(line.present)).unwrap_or(0),
            min_watermark: pages(line.min).unwrap_or(0),
            high_watermark: pages(line.high),
            lowmem_reserve: lowmem_reserve.unwrap_or(0),
            reserved_highatomic: pages(line.reserved_highatomic).unwrap_or(0),
            blocks,
            usable_orders,
            per_order_marks: reach.per_order_marks.unwrap_or(false),
            incomplete: line.free.is_none() || line.min.is_none() || lowmem_reserve.is_none(),
        }
    }

    /// What a zone keeps from an allocation whose highest zone is `highest`, in pages.
    ///
    /// The array has an entry for each zone that the kernel is built with, and doesn't name them.
    /// It grows from entry to entry, and stays the same over zones that are empty. So a higher zone's
    /// entry is found by what its own array looks like: zeros up to itself.
    fn reserve(&self, zone: &ZoneKey, reserve: &[u64], highest: usize) -> Option<u64> {
        if rank(&zone.name) == highest {
            return Some(0);
        }
        let &last = reserve.last()?;
        let of_node = || self.zones.iter().filter(|(line, _)| line.zone.node == zone.node);
        // Zones above the highest one that have pages make the entries behind it larger.
        let above = of_node().filter(|(line, _)| rank(&line.zone.name) > highest).count();
        if above == 0 {
            return Some(last);
        }
        let top = of_node().find(|(line, _)| rank(&line.zone.name) == highest);
        let zeros = |pages: &[u64]| pages.iter().take_while(|pages| **pages == 0).count();
        let at = match top {
            Some((_, pages)) if zeros(pages) < pages.len() => zeros(pages).checked_sub(1)?,
            // Neighbours: the first entry that isn't zero is that of the zone above.
            _ if highest == rank(&zone.name) + 1 => zeros(reserve),
            _ => return None,
        };
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
/// for atomic allocations, C for movable ones, I for nobody. Before 3.9 there are none.
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

/// Ranges of nodes: `0-1,3`.
fn nodes(list: &str) -> Option<Vec<(u32, u32)>> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    list.split(',').map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::{gfp::GfpNames, zone::Offer},
        source::kernel_log::message::{Message, parse_kernel},
    };

    fn report(lines: &str) -> MemoryReport {
        let mut report = MemoryReport::default();
        for line in lines.lines() {
            match parse_kernel(line) {
                Some(Message::Memory(memory)) => report.take(memory),
                other => panic!("not of Mem-Info: {line}: {other:?}"),
            }
        }
        report
    }

    fn zones(report: &MemoryReport, raw: u32, mems_allowed: Option<&str>) -> ZonesInReach {
        let names = GfpNames::from_release("6.1.0").expect("6.1 is tabled");
        let gfp = names.decode(raw);
        let reach = Reach { gfp: &gfp, nodemask: None, mems_allowed, per_order_marks: Some(false) };
        report.zones(reach, report.page_size().unwrap_or(4096))
    }

    const TWO_ZONES: &str = "\
Mem-Info:
Node 0 DMA32 free:40000kB min:4000kB low:5000kB high:6000kB reserved_highatomic:2048KB managed:1000000kB free_cma:0kB
lowmem_reserve[]: 0 0 2000 2000 2000
Node 0 Normal free:60000kB min:8000kB low:9000kB high:10000kB reserved_highatomic:0KB managed:8000000kB free_cma:0kB
lowmem_reserve[]: 0 0 0 0 0
Node 0 DMA32: 9000*4kB (UME) 244*8kB (ME) 0*16kB 0*32kB 0*64kB 0*128kB 8*256kB (H) = 40000kB
Node 0 Normal: 15000*4kB (UME) 0*8kB 0*16kB 0*32kB 0*64kB 0*128kB 0*256kB = 60000kB
1234 total pagecache pages";

    #[test]
    fn a_whole_report_has_zones_as_the_kernel_saw_them() {
        let found = zones(&report(TWO_ZONES), 0xcc0, None);
        assert!(found.complete);
        let [dma32, normal] = &found.zones[..] else { panic!("{found:?}") };
        assert_eq!((dma32.free, dma32.min_watermark, dma32.lowmem_reserve), (10_000, 1000, 2000));
        assert_eq!(dma32.reserved_highatomic, 512);
        assert_eq!(dma32.blocks, [9000, 244, 0, 0, 0, 0, 8]);
        assert_eq!(dma32.usable_orders, 0b11);
        assert_eq!(dma32.offer(6), Offer::Reserved);
        assert_eq!((normal.lowmem_reserve, normal.offer(6)), (0, Offer::Fragmented));
    }

    #[test]
    fn the_mask_bounds_the_zones() {
        // GFP_KERNEL|GFP_DMA32: its own zone keeps nothing from it.
        let found = zones(&report(TWO_ZONES), 0xcc4, None);
        assert_eq!(found.zones.len(), 1);
        assert_eq!(found.zones[0].lowmem_reserve, 0);
        // GFP_DMA: there is no such zone.
        let found = zones(&report(TWO_ZONES), 0xcc1, None);
        assert!(found.zones.is_empty() && !found.complete);
    }

    #[test]
    fn a_cpuset_bounds_the_nodes_of_user_memory() {
        let two = TWO_ZONES.to_owned() + "\n" + &TWO_ZONES.replace("Node 0", "Node 1");
        let report = report(&two);
        assert_eq!(zones(&report, 0xcc0, Some("1")).zones.len(), 4);
        // GFP_USER has __GFP_HARDWALL.
        let found = zones(&report, 0x100cc0, Some("1"));
        assert_eq!(found.zones.len(), 2);
        assert!(found.zones.iter().all(|zone| zone.node == Some(1)));
    }

    #[test]
    fn cut_or_damaged_lines_make_it_incomplete() {
        let cut = TWO_ZONES.split("Node 0 Normal: ").next().expect("a beginning");
        assert!(!zones(&report(cut), 0xcc0, None).complete);
        // The sum is not that of the counts: something was lost in the line.
        let found = zones(&report(&TWO_ZONES.replace("15000*4kB", "1500*4kB")), 0xcc0, None);
        assert!(found.zones[1].blocks.is_empty());
        assert_eq!(found.zones[1].offer(6), Offer::Unseen);
    }

    #[test]
    fn high_memory_above_the_highest_zone() {
        let report = report(
            "\
DMA free:8000kB min:64kB low:80kB high:96kB present:16000kB
lowmem_reserve[]: 0 865 1000 1000
Normal free:9000kB min:3728kB low:4660kB high:5592kB present:885944kB
lowmem_reserve[]: 0 0 1100 1100
HighMem free:100000kB min:512kB low:640kB high:768kB present:140000kB
lowmem_reserve[]: 0 0 0 0
DMA: 2000*4kB = 8000kB
Normal: 2250*4kB = 9000kB
HighMem: 25000*4kB = 100000kB",
        );
        let found = zones(&report, 0xcc0, None);
        assert_eq!(found.zones.len(), 2);
        assert_eq!(found.zones[0].lowmem_reserve, 865);
        // GFP_HIGHUSER may use all of it, and the lower zones keep more from it.
        let found = zones(&report, 0x100cc2, None);
        assert_eq!(
            found.zones.iter().map(|zone| zone.lowmem_reserve).collect::<Vec<_>>(),
            [1000, 1100, 0]
        );
    }

    #[test]
    fn the_smallest_block_is_a_page() {
        let report = report("Node 0 Normal: 3*64kB (U) 1*128kB (M) = 320kB");
        assert_eq!(report.page_size(), Some(65_536));
    }
}
