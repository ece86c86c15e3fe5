//! Mem-Info, and the zones that allocations saw in it.
use fragwatch_core::model::{gfp::GfpNames, zone::Offer};

use super::*;
use crate::parse::{Message, parse_kernel};

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
    let names =
        GfpNames::from_release(&"6.1.0".parse().expect("a release")).expect("6.1 is tabled");
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
fn a_reserve_that_is_not_printed_shows_in_the_lists() {
    let old = TWO_ZONES.replace(" reserved_highatomic:2048KB", "");
    assert_eq!(zones(&report(&old), 0xcc0, None).zones[0].reserved_highatomic, 8 * 64);
}

#[test]
fn the_smallest_block_is_a_page() {
    let report = report("Node 0 Normal: 3*64kB (U) 1*128kB (M) = 320kB");
    assert_eq!(report.page_size(), Some(65_536));
}
