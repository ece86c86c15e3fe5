//! Parsing a zone's free areas (`struct free_area`) from a copy of kernel memory.
use super::offsets::AreasLayout;

/// Size of `struct list_head` in bytes on a 64-bit kernel; `next` is its first word.
const LIST_HEAD: u32 = 16;

/// Parses a zone's free areas: free blocks per order, and a bit per order that has a block on a list from
/// which every allocation may take. `areas_at` is the array's address, needed because the head of an
/// empty list points to itself. `None` if `areas` is too short.
pub fn read_areas(areas: &[u8], areas_at: u64, layout: &AreasLayout) -> Option<(Vec<u64>, u32)> {
    let word = |at: u32| {
        let bytes = areas.get(at as usize..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    };
    let mut blocks = Vec::new();
    let mut usable_orders = 0;
    for order in 0..layout.orders.min(u32::BITS) {
        let area = order.checked_mul(layout.size)?;
        blocks.push(word(area.checked_add(layout.nr_free)?)?);
        for list in 0..layout.ordinary_lists {
            let head = area.checked_add(layout.lists)?.checked_add(list.checked_mul(LIST_HEAD)?)?;
            if word(head)? != areas_at.wrapping_add(u64::from(head)) {
                usable_orders |= 1 << order;
            }
        }
    }
    Some((blocks, usable_orders))
}

#[cfg(test)]
pub(crate) mod tests;
