//! Zones and what they had for an allocation.
use super::*;
use crate::fixtures::fragmented;

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

proptest::proptest! {
    #[test]
    fn no_counts_panic(blocks in proptest::collection::vec(proptest::num::u64::ANY, 0..16), order in 0u32..80, free: u64) {
        let zone = Zone { free, blocks, ..fragmented() };
        let _ = (zone.offer(order), zone.fragmentation_index(order));
    }
}
