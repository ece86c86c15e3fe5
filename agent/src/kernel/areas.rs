//! A zone's free areas, as they lay in the kernel's memory.
use super::offsets::AreasLayout;

/// Size of `struct list_head` in bytes on a 64-bit kernel; `next` is its first word.
const LIST_HEAD: u32 = 16;

/// Reads a zone's free areas as they lay in memory: free blocks per order, and the orders (as
/// bits) of which a block lies on a list that any allocation may take from. `areas_at` is the
/// array's address: an empty list's head points to itself. `None` if the bytes are too few.
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
