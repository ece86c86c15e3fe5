//! Free memory in small blocks only.
mod possible;
mod reach;

use anyhow::Result;
use fragwatch_core::{
    model::zone::{Offer, Zone},
    units,
};

pub(crate) use self::possible::check;
pub use self::possible::default_keep_kib;
use crate::{
    memory::{Ballast, Carver, Eater, PAGE, Region},
    reached::{Reached, ZoneReached},
    spec::Fragmentation,
    zones,
};

/// What stays free while memory is taken, in pages, besides the kernel's watermarks.
const SLACK: u64 = 2048;
/// Orders above this are eaten in blocks of it: the buddy allocator's largest on every kernel.
const LARGEST_EATEN: u32 = 10;
/// Pages of blocks that are taken by one call.
const EATEN_AT_ONCE: u64 = 4096;

/// Pages above a zone's watermark that are left while blocks are taken.
const OTHERS: u64 = 512;

/// Memory that is held so.
pub(crate) struct Fragmented {
    spec: Fragmentation,
    /// What is to be freed, and how; `None` for objects of the kernel.
    region: Option<(Region, Carver)>,
    ballast: Ballast,
    eater: Eater,
    /// Blocks of the order that may be there.
    left: u64,
    /// Memory was compacted, and nothing taken since.
    compacted: bool,
    /// Compaction may move what lies between the free pages.
    movable: bool,
    /// Compaction was seen to put a block of the order together for an allocation.
    compactable: bool,
}

impl Fragmented {
    /// Takes what other processes freed since, so that no more blocks of the order come about.
    pub(crate) fn keep_up(&mut self) -> Result<()> {
        let zones = zones::for_kernel(&zones::read()?);
        let (small, keep) = (self.in_small_blocks(&zones), self.spec.keep_kib * 1024 / PAGE);
        if small < near(keep) {
            // It can't be helped if there is nothing more to free.
            self.free_more(keep - small)?;
        }
        let mut room = zones::room(&zones, self.spec.order);
        if room > self.left {
            // It takes longer to find out which of them can be had.
            let zones = zones::for_kernel(&zones::read_usable()?);
            room = zones::room(&zones, self.spec.order);
            if room > self.left {
                return self.eat(&zones);
            }
        }
        self.left = room;
        Ok(())
    }

    /// Free pages in blocks below the order.
    fn in_small_blocks(&self, zones: &[Zone]) -> u64 {
        let order = self.spec.order;
        zones
            .iter()
            .map(|zone| zone.pages_in_blocks_from(0) - zone.pages_in_blocks_from(order))
            .sum()
    }

    /// Frees that many pages, in single pages as long as there are pairs, else in larger blocks. False if
    /// there is nothing to free.
    fn free_more(&mut self, pages: u64) -> Result<bool> {
        let Some((region, carver)) = &mut self.region else { return Ok(false) };
        let max = self.spec.order;
        let mut wanted = vec![0; max as usize];
        wanted[0] = pages;
        if pages * 2 > carver.held() {
            // As many blocks of each order below the one that must not come about.
            wanted.fill(pages.div_ceil((1 << max) - 1));
        }
        let mut freed = Vec::new();
        for (order, count) in wanted.iter().enumerate().rev() {
            freed.extend(carver.carve(order as u32, *count));
        }
        let any = !freed.is_empty();
        region.free(freed)?;
        Ok(any)
    }

    /// Takes what there is too much of the order, in blocks as large as possible. No more than the
    /// watermarks let an allocation have: the kernel would take single pages instead.
    fn eat(&mut self, zones: &[Zone]) -> Result<()> {
        self.compacted = false;
        let order = self.spec.order;
        let mut surplus = zones::room(zones, order).saturating_sub(self.left);
        for zone in zones.iter().filter(|zone| zone.offer(order) == Offer::Usable) {
            let mut budget = above_mark(zone);
            for large in (order..=LARGEST_EATEN).rev() {
                let fits = budget.saturating_sub((1 << large) - 1).min(EATEN_AT_ONCE) >> large;
                let blocks = zone.blocks.get(large as usize).copied().unwrap_or_default();
                let count = blocks.min(fits).min(surplus >> (large - order));
                if count != 0 {
                    self.eater.eat(large, count as u32)?;
                    budget -= count << large;
                    surplus -= count << (large - order);
                }
            }
        }
        if surplus != 0 {
            // The rest lies in blocks that are larger.
            self.eater.eat(order, 1)?;
        }
        Ok(())
    }

    fn measure(&self) -> Result<Reached> {
        let zones = zones::read_usable()?;
        let order = self.spec.order;
        let reached: Vec<ZoneReached> = zones
            .iter()
            .filter_map(|zone| zone.for_kernel(false))
            .map(|zone| ZoneReached {
                node: zone.node.unwrap_or_default(),
                name: zone.name.clone(),
                free_kib: zone.pages_in_blocks_from(0) * PAGE / 1024,
                index: zone.fragmentation_index(order),
                offer: offer_name(zone.offer(order)).to_owned(),
                blocks: zone.blocks,
            })
            .collect();
        let mut reached = Reached {
            order: Some(order),
            zones: reached,
            wanted: self.spec.like.clone(),
            ..Reached::default()
        };
        let free: u64 = reached.zones.iter().map(|zone| zone.free_kib * 1024).sum();
        let what = if self.left == 0 {
            format!("and no block of order {order} or above among it")
        } else {
            format!("among it {} blocks of order {order}", self.left)
        };
        let index = reached.fragmentation_index();
        let index =
            index.map_or(String::new(), |index| format!("; fragmentation index {index:.3}"));
        reached.sentences.push(format!("{} free, {what}{index}", units::bytes(free)));
        if self.compactable {
            reached.sentences.push(format!(
                "an allocation of order {order} found no block, waited for compaction, and had one: this was tried \
                 beforehand"
            ));
        }
        Ok(reached)
    }
}

/// How many free pages are near enough to those wanted: other processes take and free some all the time.
fn near(keep: u64) -> u64 {
    keep / 16 * 15
}

/// Free pages of a zone above its `min` watermark and its reserve, without some for other processes: at the
/// watermark the next page that one needs calls the OOM killer.
fn above_mark(zone: &Zone) -> u64 {
    zone.free.saturating_sub(zone.min_watermark + zone.lowmem_reserve + OTHERS)
}

/// What a zone offers, as `check` calls it.
fn offer_name(offer: Offer) -> &'static str {
    match offer {
        Offer::Exhausted => "exhausted",
        Offer::Fragmented => "fragmented",
        Offer::Reserved => "reserved",
        Offer::Usable => "usable",
        Offer::Unseen | Offer::Unknown => "unknown",
    }
}
