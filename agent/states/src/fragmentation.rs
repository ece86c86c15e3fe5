//! Free memory in small blocks only.
//!
//! 1. Memory is taken page by page, as much as shall be free and what must lie between.
//! 2. All other memory is taken, in pieces as large as they come.
//! 3. Of the pages such ones are freed that their blocks can't merge above an order.
//! 4. Larger blocks that are left, because the kernel keeps some memory free always, are taken whole.
use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use fragwatch_core::{
    model::{
        node::NodeZone,
        zone::{Offer, Zone, fragmentation_index},
    },
    units,
};

use crate::{
    memory::{Ballast, Carver, Eater, Messages, PAGE, Region, spare_pages},
    reached::{Reached, ZoneReached},
    spec::{Fragmentation, Kind},
    undo::Changes,
    zones,
};

/// After this time the state counts as not reached.
const DEADLINE: Duration = Duration::from_mins(2);
/// Pages that the kernel keeps in lists of processors, or gives back, between two looks.
const SETTLE: Duration = Duration::from_millis(20);
/// What stays free while memory is taken, in pages, besides the kernel's watermarks.
const SLACK: u64 = 2048;
/// Orders above this are eaten in blocks of it: the buddy allocator's largest on every kernel.
const LARGEST_EATEN: u32 = 10;
/// Blocks that are taken by one call.
const EATEN_AT_ONCE: u64 = 64;
/// How close to the wanted blocks is close enough, in percent of their pages.
const CLOSE: u64 = 2;

/// Memory that is held so.
pub(crate) struct Fragmented {
    spec: Fragmentation,
    /// What is to be freed, and how; `None` for objects of the kernel.
    region: Option<(Region, Carver)>,
    /// Kept for what they hold.
    _messages: Option<Messages>,
    ballast: Ballast,
    eater: Eater,
    /// Blocks of the order that may be there.
    left: u64,
}

impl Fragmented {
    /// Fragments this machine's memory.
    pub(crate) fn reach(spec: &Fragmentation, changes: &mut Changes) -> Result<(Self, Reached)> {
        let began = Instant::now();
        check(spec, &zones::read()?)?;
        nix::unistd::sync();
        // Not a setting: it has the kernel free what it holds of files.
        std::fs::write("/proc/sys/vm/drop_caches", "3").ok();
        if spec.kind == Kind::Pinned {
            changes.set_if_there("vm/compact_unevictable_allowed", "0")?;
        }
        // Since 5.9 the kernel compacts memory in advance.
        changes.set_if_there("vm/compaction_proactiveness", "0")?;
        let mut state = Self {
            spec: spec.clone(),
            region: None,
            _messages: None,
            ballast: Ballast::default(),
            eater: Eater::default(),
            left: spec.left,
        };
        let keep = spec.keep_kib * 1024 / PAGE;
        if spec.kind == Kind::Slab {
            // Half of it stays, and the slab allocator does not free every slab of the other half.
            let mut messages = Messages::send(keep * 4)?;
            state.ballast.take_all_but(0)?;
            messages.free()?;
            state._messages = Some(messages);
        } else {
            let spare = spare_pages(&zones::read()?);
            let pages = (keep * 2 + keep / 8 + 1024).min(spare.saturating_sub(SLACK));
            let region = Region::take(pages, spec.kind == Kind::Pinned)?;
            let carver = Carver::new(region.frames()?, spec.order);
            state.region = Some((region, carver));
            state.ballast.take_all_but(0)?;
        }
        while !state.approach(keep)? {
            if began.elapsed() > DEADLINE {
                bail!("{}", state.obstacle(keep)?);
            }
            thread::sleep(SETTLE);
        }
        let reached = state.measure(began)?;
        Ok((state, reached))
    }

    /// One step towards the state. True if it is reached.
    fn approach(&mut self, keep: u64) -> Result<bool> {
        if !self.spec.like.is_empty() {
            return self.approach_blocks();
        }
        let zones = zones::for_kernel(&zones::read_usable()?);
        let free: u64 = zones.iter().map(|zone| zone.pages_in_blocks_from(0)).sum();
        if free < keep {
            if !self.free_more(keep - free)? {
                bail!(
                    "could not leave {} free: {} are, and no more pages can be freed",
                    units::bytes(keep * PAGE),
                    units::bytes(free * PAGE)
                );
            }
            return Ok(false);
        }
        if zones::room(&zones, self.spec.order) <= self.left {
            return Ok(zones.iter().any(|zone| zone.offer(self.spec.order) == Offer::Fragmented)
                || self.left != 0);
        }
        self.eat(&zones)?;
        Ok(false)
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

    /// One step towards the wanted blocks per order.
    fn approach_blocks(&mut self) -> Result<bool> {
        let now = zones::blocks(&zones::read_usable()?);
        let wanted = |order: usize| self.spec.like.get(order).copied().unwrap_or_default();
        let all = zones::for_kernel(&zones::read_usable()?);
        if distance(&self.spec.like, &now) <= CLOSE && zones::room(&all, self.spec.order) == 0 {
            return Ok(true);
        }
        let mut freed = Vec::new();
        let mut surplus = Vec::new();
        for (order, count) in now.iter().copied().enumerate().rev() {
            let missing = wanted(order).saturating_sub(count);
            if let Some((_, carver)) = &mut self.region
                && order < self.spec.order as usize
            {
                freed.extend(carver.carve(order as u32, missing));
            }
            let more = count.saturating_sub(wanted(order));
            if more != 0 {
                surplus.push((order as u32, more));
            }
        }
        for (order, more) in surplus {
            self.eater.eat(order.min(LARGEST_EATEN), more.min(EATEN_AT_ONCE * 16) as u32)?;
        }
        if let Some((region, _)) = &self.region {
            region.free(freed)?;
        }
        Ok(false)
    }

    /// Takes what there is too much of the order, in blocks as large as possible.
    fn eat(&mut self, zones: &[Zone]) -> Result<()> {
        let order = self.spec.order;
        let mut surplus = zones::room(zones, order).saturating_sub(self.left);
        let usable = || zones.iter().filter(|zone| zone.offer(order) == Offer::Usable);
        for large in (order..=LARGEST_EATEN).rev() {
            let count: u64 = usable().filter_map(|zone| zone.blocks.get(large as usize)).sum();
            let count = count.min(surplus >> (large - order)).min(EATEN_AT_ONCE);
            if count != 0 {
                self.eater.eat(large, count as u32)?;
                surplus -= count << (large - order);
            }
        }
        if surplus != 0 {
            self.eater.eat(order, surplus.min(EATEN_AT_ONCE) as u32)?;
        }
        Ok(())
    }

    /// Takes what other processes freed since, so that no more blocks of the order come about.
    pub(crate) fn keep_up(&mut self) -> Result<()> {
        let mut room = zones::room(&zones::for_kernel(&zones::read()?), self.spec.order);
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

    fn measure(&self, began: Instant) -> Result<Reached> {
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
        let free: u64 = reached.iter().map(|zone| zone.free_kib * 1024).sum();
        let total = zones::blocks(&zones);
        let index = fragmentation_index(&total, order);
        let mut sentence = format!("{} free", units::bytes(free));
        if self.left == 0 {
            sentence += &format!(", and no block of order {order} or above among it");
            if index > 0 {
                sentence += &format!("; fragmentation index {:.3}", index as f64 / 1000.0);
            }
        } else {
            sentence += &format!(", among it {} blocks of order {order}", self.left);
        }
        Ok(Reached {
            sentences: vec![sentence],
            order: Some(order),
            zones: reached,
            wanted: self.spec.like.clone(),
            took_ms: began.elapsed().as_millis() as u64,
        })
    }

    fn obstacle(&self, keep: u64) -> Result<String> {
        let zones = zones::for_kernel(&zones::read_usable()?);
        let free: u64 = zones.iter().map(|zone| zone.pages_in_blocks_from(0)).sum();
        Ok(format!(
            "after {} s there are still {} free blocks of order {}, with {} of {} free: something on \
             this machine frees memory all the time",
            DEADLINE.as_secs(),
            zones::room(&zones, self.spec.order),
            self.spec.order,
            units::bytes(free * PAGE),
            units::bytes(keep * PAGE),
        ))
    }
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

/// How far free blocks are from those wanted, in percent of the pages that are wanted.
fn distance(wanted: &[u64], now: &[u64]) -> u64 {
    let of = |blocks: &[u64], order: usize| blocks.get(order).copied().unwrap_or_default();
    let orders = 0..wanted.len().max(now.len());
    let pages: u64 = orders.map(|order| of(wanted, order).abs_diff(of(now, order)) << order).sum();
    let all: u64 = wanted.iter().enumerate().map(|(order, count)| count << order).sum();
    pages * 100 / all.max(1)
}

/// What can't be had on this machine, in a sentence.
pub(crate) fn check(spec: &Fragmentation, zones: &[NodeZone]) -> Result<()> {
    let max = zones::max_order(zones);
    if spec.order == 0 || spec.order > max {
        bail!("order {} can't lack: this kernel's blocks have orders 1 to {max}", spec.order);
    }
    if spec.kind == Kind::Slab && spec.order <= crate::memory::LARGEST_BETWEEN_MESSAGES {
        bail!(
            "objects of the kernel leave blocks of order {} between them: take an order above that, or \
             another kind",
            crate::memory::LARGEST_BETWEEN_MESSAGES
        );
    }
    let keep = spec.keep_kib * 1024 / PAGE;
    let least: u64 = zones
        .iter()
        .filter_map(|zone| Some(zone.high + zone.lowmem_reserve?))
        .filter(|pages| *pages < spare_pages(zones))
        .sum::<u64>()
        + (1 << spec.order);
    let most = most_free(spec, zones);
    if keep > most {
        bail!(
            "{} can't be left free in blocks below order {}: on this machine at most {} can",
            units::bytes(keep * PAGE),
            spec.order,
            units::bytes(most * PAGE)
        );
    }
    if keep < least {
        bail!(
            "with {} free no allocation fails for fragmentation, but for lack of memory: leave at least \
             {}, which is the kernel's watermarks",
            units::bytes(keep * PAGE),
            units::bytes(least * PAGE)
        );
    }
    Ok(())
}

/// Pages that can be free in small blocks: of each block of the order one page is held.
fn most_free(spec: &Fragmentation, zones: &[NodeZone]) -> u64 {
    let available = crate::memory::meminfo_kib("MemAvailable").unwrap_or_default() * 1024 / PAGE;
    let pages = available.max(spare_pages(zones)).saturating_sub(2 * SLACK);
    let share = match spec.kind {
        Kind::Slab => pages / 5,
        Kind::Pinned | Kind::PageCache => pages - (pages >> spec.order.min(63)),
    };
    // Not all memory lies in whole blocks.
    share / 10 * 9
}
