//! How the state is reached.
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
    model::zone::{Offer, Zone},
    units,
};

use super::{EATEN_AT_ONCE, Fragmented, SLACK, above_mark, near, possible};
use crate::{
    memory::{Ballast, Carver, Eater, Messages, PAGE, Probe, Region, STEP, spare_pages},
    reached::Reached,
    spec::{Fragmentation, Kind},
    undo::Changes,
    zones,
};

/// After this time the state counts as not reached.
const DEADLINE: Duration = Duration::from_mins(2);
/// Pages that the kernel keeps in lists of processors, or gives back, between two looks.
const SETTLE: Duration = Duration::from_millis(20);
/// After this time blocks per order count as approached, however close they are.
const LONG_ENOUGH: Duration = Duration::from_secs(20);
/// Memory that the kernel keeps free, and how little that is while memory is taken.
const MIN_FREE: &str = "vm/min_free_kbytes";
const MIN_FREE_KIB: &str = "4096";
/// Allocations that are tried until one is helped by compaction: after failures the kernel puts off up to 64
/// attempts to compact, and then begins with both scanners where they met (mm/compaction.c `defer_compaction`).
const ATTEMPTS: u32 = 200;
/// Allocations in a row that compaction helps before the state counts as reached: where its scanners are about to
/// meet, the next one, which is the command's, would fail.
const IN_A_ROW: u32 = 3;
/// Looks in a row at which the state must be as it should, where compaction goes on in the background.
const CALM_LOOKS: u32 = 10;
/// The largest order for which the kernel tries again until it has a block (include/linux/mmzone.h
/// `PAGE_ALLOC_COSTLY_ORDER`).
const NOT_COSTLY: u32 = 3;
/// How close to the wanted blocks is close enough, in percent of their pages.
const CLOSE: u64 = 2;

impl Fragmented {
    /// Fragments this machine's memory.
    pub(crate) fn reach(spec: &Fragmentation, changes: &mut Changes) -> Result<(Self, Reached)> {
        possible::check(spec, &zones::read()?)?;
        nix::unistd::sync();
        // Not a setting: it has the kernel free what it holds of files.
        std::fs::write("/proc/sys/vm/drop_caches", "3").ok();
        changes.set_if_there("vm/compact_unevictable_allowed", "0")?;
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
            movable: false,
            compactable: false,
        };
        let keep = spec.keep_kib * 1024 / PAGE;
        if spec.kind == Kind::Slab {
            // Half of it stays, and the slab allocator does not free every slab of the other half.
            let mut messages = Messages::send(keep * 4)?;
            state.ballast.take_all(changes)?;
            messages.free()?;
        } else {
            let spare = spare_pages(&zones::read()?);
            // More than is to be free, for what the command takes of it.
            let pages = (keep * 2 + keep / 2 + 4096).min(spare.saturating_sub(SLACK));
            let region = Region::take(pages)?;
            let carver = Carver::new(region.frames()?, spec.order);
            state.region = Some((region, carver));
            state.ballast.take_all(changes)?;
        }
        let must_compact = spec.kind == Kind::PageCache && spec.order > NOT_COSTLY;
        if spec.kind == Kind::PageCache && !must_compact {
            // Without compaction the first block that is asked for would call the OOM killer.
            state.release()?;
        }
        let mut probe = must_compact.then(|| Probe::new(spec.order, changes)).transpose()?;
        let mut in_a_row = 0;
        let mut calm = 0;
        // How long memory takes to be taken depends on the machine.
        let began = Instant::now();
        loop {
            calm = if state.approach(keep, began)? { calm + 1 } else { 0 };
            if calm != 0 {
                if let Some(old) = min_free.take() {
                    // Only now is so much free that the watermarks can rise again.
                    std::fs::write(format!("/proc/sys/{MIN_FREE}"), &old)
                        .with_context(|| format!("could not write {old} to {MIN_FREE}"))?;
                } else if must_compact && !state.movable {
                    state.release()?;
                    calm = 0;
                } else if let Some(allocation) = &probe {
                    let helped = is_helped_by_compaction(allocation, spec.order)?;
                    in_a_row = if helped { in_a_row + 1 } else { 0 };
                    if in_a_row == IN_A_ROW {
                        state.compactable = true;
                        probe = None;
                    }
                    calm = 0;
                } else if !must_compact || calm == CALM_LOOKS {
                    break;
                }
            }
            if began.elapsed() > DEADLINE {
                if state.movable && probe.is_some() {
                    bail!(
                        "within {} s compaction did not help {IN_A_ROW} allocations of order {} in a row",
                        DEADLINE.as_secs(),
                        spec.order
                    );
                }
                bail!("{}", state.obstacle(keep)?);
            }
            thread::sleep(SETTLE);
        }
        let reached = state.measure()?;
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
            let more = keep - small;
            if self.take_blocks(more, small, &zones)? || self.free_more(more)? {
                return Ok(false);
            }
            if small < near(keep) {
                bail!(
                    "could not leave {} free: {} are, and no more pages can be freed",
                    units::bytes(keep * PAGE),
                    units::bytes(small * PAGE)
                );
            }
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

    /// Takes what is free page by page, so that it can be carved: compaction has moved other memory, such as files,
    /// into the pages that were freed, and too little is left to free that many more. False if nothing was taken.
    fn take_blocks(&mut self, more: u64, small: u64, zones: &[Zone]) -> Result<bool> {
        let Some((region, carver)) = &mut self.region else { return Ok(false) };
        let large = zones::room(zones, self.spec.order) << self.spec.order;
        if self.movable || carver.held() >= more || large < more.min(STEP) {
            return Ok(false);
        }
        // The kernel takes small blocks first: those that were carved are whole again, and are carved once more.
        let pages = (small + large).min(spare_pages(&zones::read()?).saturating_sub(SLACK));
        if pages <= small {
            return Ok(false);
        }
        region.extend(pages)?;
        *carver = Carver::new(region.frames()?, self.spec.order);
        self.compacted = false;
        Ok(true)
    }

    /// Has the kernel put together what it can move, which an allocation would do otherwise; the blocks that
    /// come about are taken next. False if nothing was taken since the last time.
    fn compact(&mut self) -> Result<bool> {
        if self.compacted || self.movable {
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

    /// Lets compaction move what lies between the free pages. Only now, so that it was tried in vain over all
    /// memory and begins again: an allocation fails if its scanners meet (mm/compaction.c `compact_finished`).
    fn release(&mut self) -> Result<()> {
        if let Some((region, _)) = &self.region {
            region.unlock()?;
        }
        self.movable = true;
        Ok(())
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
        // Only now: before, there may be hardly any free memory but these blocks.
        if zones::room(&all, self.spec.order) != 0 {
            self.eat(&all)?;
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

/// Tries allocations of the order until one has a block, which is free afterwards. True if that was the first, and
/// it found no block and waited for compaction.
fn is_helped_by_compaction(probe: &Probe, order: u32) -> Result<bool> {
    for attempt in 0..ATTEMPTS {
        let before = compactions()?;
        if probe.allocate()? {
            return Ok(attempt == 0 && compactions()? != before);
        }
    }
    bail!(
        "compaction puts no block of order {order} together on this machine: {ATTEMPTS} allocations that may wait \
         for it failed"
    )
}

/// Direct compactions that succeeded so far; 0 on a kernel that does not count them.
fn compactions() -> Result<u64> {
    let path = "/proc/vmstat";
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {path}"))?;
    let count = text.lines().find_map(|line| line.strip_prefix("compact_success ")?.parse().ok());
    Ok(count.unwrap_or(0))
}

/// How far free blocks are from those wanted, in percent of the pages that are wanted.
fn distance(wanted: &[u64], now: &[u64]) -> u64 {
    let of = |blocks: &[u64], order: usize| blocks.get(order).copied().unwrap_or_default();
    let orders = 0..wanted.len().max(now.len());
    let pages: u64 = orders.map(|order| of(wanted, order).abs_diff(of(now, order)) << order).sum();
    let all: u64 = wanted.iter().enumerate().map(|(order, count)| count << order).sum();
    pages * 100 / all.max(1)
}
