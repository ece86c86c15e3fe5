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

use anyhow::{Context as _, Result, bail};
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

/// Free memory that is left if nothing else is asked for, in KiB.
const DEFAULT_KEEP_KIB: u64 = 64 << 10;
/// After this time the state counts as not reached.
const DEADLINE: Duration = Duration::from_mins(2);
/// Pages that the kernel keeps in lists of processors, or gives back, between two looks.
const SETTLE: Duration = Duration::from_millis(20);
/// What stays free while memory is taken, in pages, besides the kernel's watermarks.
const SLACK: u64 = 2048;
/// Orders above this are eaten in blocks of it: the buddy allocator's largest on every kernel.
const LARGEST_EATEN: u32 = 10;
/// Pages of blocks that are taken by one call.
const EATEN_AT_ONCE: u64 = 4096;
/// After this time blocks per order count as approached, however close they are.
const LONG_ENOUGH: Duration = Duration::from_secs(20);
/// Memory that the kernel keeps free, and how little that is while memory is taken.
const MIN_FREE: &str = "vm/min_free_kbytes";
const MIN_FREE_KIB: &str = "4096";
/// How close to the wanted blocks is close enough, in percent of their pages.
const CLOSE: u64 = 2;

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
        // Watermarks would rise with each kind of block that is broken up.
        changes.set_if_there("vm/watermark_boost_factor", "0")?;
        // Since 6.7 a processor may keep an eighth of a zone in lists of its own (5.14 and later).
        changes.set_if_there("vm/percpu_pagelist_high_fraction", "100000")?;
        // What the kernel keeps free while memory is taken is left in large blocks, so it is to be little.
        let mut min_free = changes.set_if_there(MIN_FREE, MIN_FREE_KIB)?;
        let mut state = Self {
            spec: spec.clone(),
            region: None,
            ballast: Ballast::default(),
            eater: Eater::default(),
            left: spec.left,
            compacted: false,
        };
        let keep = spec.keep_kib * 1024 / PAGE;
        if spec.kind == Kind::Slab {
            // Half of it stays, and the slab allocator does not free every slab of the other half.
            let mut messages = Messages::send(keep * 4)?;
            state.ballast.take_all_but(0)?;
            messages.free()?;
        } else {
            let spare = spare_pages(&zones::read()?);
            // More than is to be free, for what the command takes of it.
            let pages = (keep * 2 + keep / 2 + 4096).min(spare.saturating_sub(SLACK));
            let region = Region::take(pages, spec.kind == Kind::Pinned)?;
            let carver = Carver::new(region.frames()?, spec.order);
            state.region = Some((region, carver));
            state.ballast.take_all_but(0)?;
        }
        loop {
            if state.approach(keep, began)? {
                // Only now is so much free that the watermarks can rise again.
                let Some(old) = min_free.take() else { break };
                std::fs::write(format!("/proc/sys/{MIN_FREE}"), &old)
                    .with_context(|| format!("could not write {old} to {MIN_FREE}"))?;
            }
            if began.elapsed() > DEADLINE {
                bail!("{}", state.obstacle(keep)?);
            }
            thread::sleep(SETTLE);
        }
        let reached = state.measure(began)?;
        Ok((state, reached))
    }

    /// One step towards the state. True if it is reached.
    fn approach(&mut self, keep: u64, began: Instant) -> Result<bool> {
        if !self.spec.like.is_empty() {
            return self.approach_blocks(began);
        }
        let zones = zones::for_kernel(&zones::read_usable()?);
        let small = self.in_small_blocks(&zones);
        if small < keep {
            if !self.free_more(keep - small)? {
                bail!(
                    "could not leave {} free: {} are, and no more pages can be freed",
                    units::bytes(keep * PAGE),
                    units::bytes(small * PAGE)
                );
            }
            return Ok(false);
        }
        if zones::room(&zones, self.spec.order) <= self.left {
            if self.compact()? {
                return Ok(false);
            }
            return Ok(zones.iter().any(|zone| zone.offer(self.spec.order) == Offer::Fragmented)
                || self.left != 0);
        }
        self.eat(&zones)?;
        Ok(false)
    }

    /// Has the kernel put together what it can move, which an allocation would do otherwise; the blocks that
    /// come about are taken next. False if nothing was taken since the last time.
    fn compact(&mut self) -> Result<bool> {
        if self.compacted || self.spec.kind == Kind::PageCache {
            return Ok(false);
        }
        let path = "/proc/sys/vm/compact_memory";
        // A kernel without compaction has no such file.
        if std::fs::exists(path).unwrap_or(false) {
            std::fs::write(path, "1").with_context(|| format!("could not write 1 to {path}"))?;
        }
        self.compacted = true;
        Ok(true)
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

    /// One step towards the wanted blocks per order.
    fn approach_blocks(&mut self, began: Instant) -> Result<bool> {
        let now = zones::blocks(&zones::read_usable()?);
        let like = self.spec.like.clone();
        let wanted = |order: usize| like.get(order).copied().unwrap_or_default();
        let all = zones::for_kernel(&zones::read_usable()?);
        let close = distance(&like, &now) <= CLOSE || began.elapsed() > LONG_ENOUGH;
        if close && zones::room(&all, self.spec.order) == 0 && !self.compact()? {
            return Ok(true);
        }
        if zones::room(&all, self.spec.order) != 0 {
            self.eat(&all)?;
        }
        let mut freed = Vec::new();
        let mut surplus = Vec::new();
        for (order, count) in now.iter().copied().enumerate().take(self.spec.order as usize).rev() {
            if let Some((_, carver)) = &mut self.region {
                freed.extend(carver.carve(order as u32, wanted(order).saturating_sub(count)));
            }
            let more = count.saturating_sub(wanted(order)).min(EATEN_AT_ONCE >> order);
            if more != 0 {
                surplus.push((order as u32, more));
            }
        }
        if let Some((region, _)) = &self.region {
            region.free(freed)?;
        }
        // Half of what is above the watermarks: the rest is for others.
        let mut budget =
            all.iter().filter(|zone| zone.name != "DMA").map(above_mark).sum::<u64>() / 2;
        for (order, more) in surplus {
            let more = more.min(budget >> order);
            if more != 0 {
                self.eater.eat(order, more as u32)?;
                budget -= more << order;
            }
        }
        Ok(false)
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

    /// Takes what other processes freed since, so that no more blocks of the order come about.
    pub(crate) fn keep_up(&mut self) -> Result<()> {
        let zones = zones::for_kernel(&zones::read()?);
        let (small, keep) = (self.in_small_blocks(&zones), self.spec.keep_kib * 1024 / PAGE);
        if small < keep / 16 * 15 {
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
        let what = if self.left == 0 {
            format!("and no block of order {order} or above among it")
        } else {
            format!("among it {} blocks of order {order}", self.left)
        };
        let index = if index > 0 {
            format!("; fragmentation index {:.3}", index as f64 / 1000.0)
        } else {
            String::new()
        };
        let sentence = format!("{} free, {what}{index}", units::bytes(free));
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

/// Free pages of a zone above its `min` watermark and its reserve.
fn above_mark(zone: &Zone) -> u64 {
    zone.free.saturating_sub(zone.min_watermark + zone.lowmem_reserve)
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
    let least = least_free(spec.order, zones);
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

/// With so few pages free an allocation of that order fails for lack of memory, not for fragmentation.
fn least_free(order: u32, zones: &[NodeZone]) -> u64 {
    let mark = |zone: &NodeZone| Some(zone.min + zone.lowmem_reserve?);
    let marks: u64 = zones.iter().filter(|zone| zone.name != "DMA").filter_map(mark).sum();
    marks + (1 << order.min(40))
}

/// Memory to leave free on this machine so that allocations of that order fail for fragmentation, and others
/// succeed, in KiB.
pub fn default_keep_kib(order: u32) -> Result<u64> {
    let least_kib = least_free(order, &zones::read()?) * PAGE / 1024;
    Ok(DEFAULT_KEEP_KIB.max(least_kib + least_kib / 2))
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
