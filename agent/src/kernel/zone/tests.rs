//! Zones and what they had for an allocation.
use super::*;

/// The zone of the design's example: 768 MiB of guest memory, every other page freed.
pub(crate) fn fragmented() -> Zone {
    Zone {
        node: Some(0),
        name: "DMA32".to_owned(),
        free: 71_750,
        free_cma: 0,
        managed: 180_000,
        min_watermark: 700,
        lowmem_reserve: 0,
        high_watermark: None,
        reserved_highatomic: 0,
        blocks: vec![69_949, 11, 21, 15, 2, 1, 0, 0, 0, 0, 0],
        usable_orders: 0,
        per_order_marks: false,
        incomplete: false,
    }
}

#[test]
fn index_is_the_kernels() {
    // By hand: 70,207 pages in 69,999 blocks; 1000 − (1000 + 70,207·1000/64)/69,999 = 985.
    assert_eq!(fragmentation_index(&fragmented().blocks, 6), 985);
    assert_eq!(fragmented().fragmentation_index(6), Some(0.985));
    // A block of order 5 is there, so the index for 5 says nothing.
    assert_eq!(fragmentation_index(&fragmented().blocks, 5), -1000);
    assert_eq!(fragmented().fragmentation_index(5), None);
    assert_eq!(fragmentation_index(&[0; 11], 6), 0);
    // One page free: lack of memory.
    assert_eq!(fragmentation_index(&[1, 0, 0], 2), 1000 - (1000 + 250));
    // Few large blocks, none large enough: towards lack of memory.
    assert_eq!(fragmentation_index(&[0, 0, 0, 0, 0, 2, 0], 6), 1000 - 2000 / 2);
}

#[test]
fn enough_pages_without_a_block_is_fragmented() {
    assert_eq!(fragmented().offer(6), Offer::Fragmented);
}

#[test]
fn a_large_block_is_usable_or_reserved() {
    let mut zone = fragmented();
    zone.blocks[7] = 1;
    zone.free += 128;
    zone.usable_orders = 1 << 7;
    assert_eq!(zone.offer(6), Offer::Usable);
    zone.usable_orders = 0;
    assert_eq!(zone.offer(6), Offer::Reserved);
}

#[test]
fn nothing_above_the_watermark_is_exhausted() {
    let mut zone = fragmented();
    zone.min_watermark = zone.free - 63;
    assert_eq!(zone.offer(6), Offer::Exhausted);
    zone.min_watermark -= 1;
    assert_eq!(zone.offer(6), Offer::Fragmented);
    // Pages that this allocation may not touch are not free for it.
    zone.reserved_highatomic = 1;
    assert_eq!(zone.offer(6), Offer::Exhausted);
}

#[test]
fn an_atomic_allocation_may_go_below_the_mark() {
    let atomic = Access { high: true, atomic: true };
    let mut zone = Zone { free: 800, blocks: vec![800], ..fragmented() };
    zone.min_watermark = 1600;
    assert_eq!(zone.offer(0), Offer::Exhausted);
    zone.usable_orders = 1;
    // By hand: 1600 − 800 = 800, − 200 = 600.
    assert_eq!(zone.offer_to(0, atomic), Offer::Usable);
    zone.free = 600;
    assert_eq!(zone.offer_to(0, atomic), Offer::Exhausted);
}

#[test]
fn old_kernels_want_a_share_in_large_blocks() {
    // By hand, order 2: 1019 pages left after the block itself, minus 900 single pages = 119,
    // which is not above half of 400.
    let mut zone = Zone { free: 1022, blocks: vec![900, 1, 30], ..fragmented() };
    (zone.min_watermark, zone.usable_orders) = (400, 0b111);
    assert_eq!(zone.offer(2), Offer::Usable);
    zone.per_order_marks = true;
    assert_eq!(zone.offer(2), Offer::Fragmented);
    assert_eq!(zone.pages_in_blocks_from(1), 122);
}

#[test]
fn blocks_that_were_not_seen_say_nothing() {
    let mut zone = Zone { blocks: Vec::new(), ..fragmented() };
    assert_eq!(zone.offer(6), Offer::Unseen);
    zone.free = 100;
    assert_eq!(zone.offer(6), Offer::Exhausted);
}

#[test]
fn what_could_not_be_read_is_unknown() {
    assert_eq!(Zone { incomplete: true, ..fragmented() }.offer(6), Offer::Unknown);
}

/// 6.12's layout.
pub(crate) const LAYOUT: AreasLayout =
    AreasLayout { orders: 11, size: 88, nr_free: 80, lists: 0, ordinary_lists: 3 };

/// Free areas as they would lie at `at`: `blocks` per order, each on list `list`.
pub(crate) fn areas(at: u64, blocks: &[u64], list: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (order, &n) in blocks.iter().enumerate() {
        for i in 0..5 {
            let head = at + order as u64 * 88 + i * 16;
            let next = if n != 0 && i == list { head ^ 0xffff_0000 } else { head };
            bytes.extend([next, next].map(u64::to_ne_bytes).concat());
        }
        bytes.extend(n.to_ne_bytes());
    }
    bytes
}

#[test]
fn reads_areas_as_they_lie_in_memory() {
    let at = 0xff11_0000_0000_0100;
    let blocks = [7, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1];
    let bytes = areas(at, &blocks, 1);
    let read = read_areas(&bytes, at, &LAYOUT);
    assert_eq!(read, Some((blocks.to_vec(), 1 << 10 | 1 << 2 | 1)));
    // Of list 3 (high-order atomic) nobody else may take.
    let read = read_areas(&areas(at, &blocks, 3), at, &LAYOUT);
    assert_eq!(read, Some((blocks.to_vec(), 0)));
    assert_eq!(read_areas(&bytes[..900], at, &LAYOUT), None);
}

proptest::proptest! {
    #[test]
    fn no_counts_panic(blocks in proptest::collection::vec(proptest::num::u64::ANY, 0..16), order in 0u32..80, free: u64) {
        let zone = Zone { free, blocks, ..fragmented() };
        let _ = (zone.offer(order), zone.fragmentation_index(order));
    }
}
