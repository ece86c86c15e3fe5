//! Free areas with the layout of 6.12.
use super::*;

/// 6.12's layout.
pub(crate) const LAYOUT: AreasLayout =
    AreasLayout { orders: 11, size: 88, nr_free: 80, lists: 0, ordinary_lists: 3 };

/// The memory of free areas at address `at`: `blocks` per order, all on list `list`.
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
fn blocks_and_usable_orders_are_parsed() {
    let at = 0xff11_0000_0000_0100;
    let blocks = [7, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1];
    let bytes = areas(at, &blocks, 1);
    let read = read_areas(&bytes, at, &LAYOUT);
    assert_eq!(read, Some((blocks.to_vec(), 1 << 10 | 1 << 2 | 1)));
    // List 3 is reserved for high-order atomic allocations.
    let read = read_areas(&areas(at, &blocks, 3), at, &LAYOUT);
    assert_eq!(read, Some((blocks.to_vec(), 0)));
    assert_eq!(read_areas(&bytes[..900], at, &LAYOUT), None);
}
