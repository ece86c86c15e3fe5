//! A zone's free blocks and what they say about one allocation. The arithmetic is the kernel's
//! (5.10–7.2; mm/vmstat.c `__fragmentation_index`, `unusable_free_index`; mm/page_alloc.c
//! `__zone_watermark_ok`, for logs also as it was in 2.6.32–4.3).
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::model::gfp::Traits;

/// A zone at the moment of a failure. Counts are pages of the kernel's page size.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// NUMA node; `None` if it could not be read.
    pub node: Option<u32>,
    /// The zone's name, empty if it could not be read.
    pub name: String,
    /// Free pages, as the kernel counts them (`NR_FREE_PAGES`).
    pub free: u64,
    /// Of these, pages that only movable allocations may use (`NR_FREE_CMA_PAGES`).
    pub free_cma: u64,
    /// Pages that the buddy allocator manages here.
    pub managed: u64,
    /// `min` watermark with its boost.
    pub min_watermark: u64,
    /// `high` watermark, which the last attempt before an OOM kill is held to; `None` if it was not
    /// read.
    pub high_watermark: Option<u64>,
    /// What is kept for allocations that can use nothing but lower zones.
    pub lowmem_reserve: u64,
    /// Pages that are kept for high-order atomic allocations: those free (`nr_free_highatomic`, 6.12
    /// and later), before that all in such blocks (`nr_reserved_highatomic`).
    pub reserved_highatomic: u64,
    /// Free blocks per order, from order 0; empty if they were not seen.
    pub blocks: Vec<u64>,
    /// Orders, as bits, of which a free block lies on a list that any allocation may take from.
    pub usable_orders: u32,
    /// The kernel is older than 4.4: it wants half of the watermark in blocks above order 0, half of
    /// that above order 1, and so on, whatever blocks there are.
    pub per_order_marks: bool,
    /// Something could not be read and stands as 0.
    pub incomplete: bool,
}

/// How far into a zone's reserves an allocation may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `__GFP_HIGH`: below the watermark.
    pub high: bool,
    /// And it may not wait, which together is `GFP_ATOMIC`: further below, and into the reserve for
    /// such allocations.
    pub atomic: bool,
}

impl Access {
    /// What a mask allows.
    pub fn of(traits: Traits) -> Self {
        Self { high: traits.high, atomic: traits.high && !traits.direct_reclaim }
    }
}

/// What a zone had for an allocation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Not enough pages above the watermark.
    Exhausted,
    /// Enough pages, but no free block that large.
    Fragmented,
    /// Free blocks that large only on lists this allocation may not use (high-order atomic
    /// reserve, CMA, isolated).
    Reserved,
    /// A block it could have used: freed since, or out of its reach for a reason that is not seen.
    Usable,
    /// Enough pages, but its free blocks were not seen.
    Unseen,
    /// It could not be read whole.
    Unknown,
}

impl Zone {
    /// What this zone had for an ordinary allocation of `order`: one that is held to the `min`
    /// watermark and may have nothing of the reserves.
    pub fn offer(&self, order: u32) -> Offer {
        self.offer_to(order, Access::default())
    }

    /// What this zone had for an allocation of `order` with that access.
    pub fn offer_to(&self, order: u32, access: Access) -> Offer {
        if self.incomplete {
            return Offer::Unknown;
        }
        let mark = self.mark(access);
        let free = self.free_for(access).saturating_sub((1u64 << order.min(63)) - 1);
        if free <= mark.saturating_add(self.lowmem_reserve) {
            return Offer::Exhausted;
        }
        if self.blocks.is_empty() {
            return Offer::Unseen;
        }
        if self.per_order_marks && !self.marks_per_order_hold(order, free, mark) {
            return Offer::Fragmented;
        }
        match self.largest_order() {
            Some(largest) if largest >= order => {
                if self.usable_orders >> order.min(31) == 0 {
                    Offer::Reserved
                } else {
                    Offer::Usable
                }
            }
            _ => Offer::Fragmented,
        }
    }

    /// The watermark that an allocation with that access is held to, in pages (5.10–6.3; later
    /// kernels differ where an allocation may not wait and has no `__GFP_HIGH`).
    fn mark(&self, access: Access) -> u64 {
        let mut mark = self.min_watermark;
        if access.high {
            mark -= mark / 2;
        }
        if access.atomic {
            mark -= mark / 4;
        }
        mark
    }

    fn free_for(&self, access: Access) -> u64 {
        let reserve = if access.atomic { 0 } else { self.reserved_highatomic };
        self.free.saturating_sub(reserve.saturating_add(self.free_cma))
    }

    /// `__zone_watermark_ok` of 2.6.32 to 4.3 above order 0, from the free pages that it is left
    /// with there.
    fn marks_per_order_hold(&self, order: u32, mut free: u64, mut mark: u64) -> bool {
        for (o, &n) in self.blocks.iter().enumerate().take(order.min(63) as usize) {
            free = free.saturating_sub(n.saturating_mul(1 << o));
            mark /= 2;
            if free <= mark {
                return false;
            }
        }
        true
    }

    /// Whether it had so many free pages that no attempt at order 0 can have lacked them: more than
    /// the `high` watermark or, where that was not read, twice `min`.
    pub fn has_plenty(&self) -> bool {
        let mark = self.high_watermark.unwrap_or(self.min_watermark.saturating_mul(2));
        !self.incomplete
            && self.free_for(Access::default()) > mark.saturating_add(self.lowmem_reserve)
    }

    /// Pages in free blocks of at least `order`.
    pub fn pages_in_blocks_from(&self, order: u32) -> u64 {
        let blocks = self.blocks.iter().enumerate().skip(order as usize).take(63);
        blocks.fold(0, |sum: u64, (o, &n)| sum.saturating_add(n.saturating_mul(1 << o.min(62))))
    }

    /// The zone by its name and node, as people call it.
    pub fn label(&self) -> String {
        let name = if self.name.is_empty() { "unnamed" } else { &self.name };
        match self.node {
            Some(node) => format!("zone {name} of node {node}"),
            None => format!("zone {name}"),
        }
    }

    /// The largest order of which there is a free block.
    pub fn largest_order(&self) -> Option<u32> {
        self.blocks.iter().rposition(|&n| n != 0).map(|o| o as u32)
    }

    /// The kernel's fragmentation index for `order`, between 0 (lack of memory) and 1
    /// (fragmentation). `None` where it says nothing: a free block is large enough, nothing is
    /// free, or the value is negative.
    pub fn fragmentation_index(&self, order: u32) -> Option<f64> {
        let thousandths = fragmentation_index(&self.blocks, order);
        (thousandths > 0).then_some(thousandths as f64 / 1000.0)
    }
}

/// The zone that shows most about a failure of `order`: of those with the pages but not the block
/// the one with most free, else the first, which the allocator preferred.
pub fn most_relevant(zones: &[Zone], order: u32) -> Option<&Zone> {
    let fragmented = |z: &&Zone| matches!(z.offer(order), Offer::Fragmented | Offer::Reserved);
    zones.iter().filter(fragmented).max_by_key(|z| z.free).or_else(|| zones.first())
}

/// Half of the index that a zone with nothing but single pages has, which is 1 − 2^-order: above it
/// an index leans towards fragmentation, below it towards lack of memory.
pub fn even_index(order: u32) -> f64 {
    (1.0 - 0.5f64.powi(order.cast_signed())) / 2.0
}

/// `__fragmentation_index` in thousandths: 0 if nothing is free, −1000 if a block is large enough.
pub fn fragmentation_index(blocks: &[u64], order: u32) -> i64 {
    if order > 62 {
        return 0;
    }
    let order = order as usize;
    let (mut count, mut free) = (0u64, 0u64);
    for (o, &n) in blocks.iter().enumerate().take(63) {
        count = count.saturating_add(n);
        free = free.saturating_add(n.saturating_mul(1 << o));
        if o >= order && n != 0 {
            return -1000;
        }
    }
    if count == 0 {
        return 0;
    }
    let wanted = free.saturating_mul(1000) / (1 << order);
    1000 - i64::try_from(wanted.saturating_add(1000) / count).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
