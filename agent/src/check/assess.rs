//! The judgement: pure, from the node's facts and what is needed.
use fragwatch_core::{
    model::{
        node::{MAX_MEMORY_CGROUPS, MemoryCgroups, NodeFacts},
        zone::{Offer, Zone},
    },
    units::{bytes, grouped},
};

use crate::check::needs::Need;

/// Fewer blocks than this are tight. The start of a container makes some ten processes, each of which
/// takes a block of order 1 on x86-64, and two or three may start at once.
pub(super) const TIGHT_BLOCKS: u64 = 32;

/// Fewer ids for memory cgroups than this are tight: 5 %. A node's pods come and go by the hundred,
/// and what leaks ids does so for days.
pub(super) const TIGHT_IDS: u64 = MAX_MEMORY_CGROUPS / 20;

/// Above this order the kernel returns NULL; up to it, it calls the OOM killer
/// (include/linux/mmzone.h `PAGE_ALLOC_COSTLY_ORDER`).
const COSTLY_ORDER: u32 = 3;

/// How something stands, the worse the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It can be had.
    Ok,
    /// It can be had, and not for long.
    Tight,
    /// That could not be found out.
    Unknown,
    /// As things are it can't be had.
    WouldFail,
}

impl Standing {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Tight => "tight",
            Self::Unknown => "unknown",
            Self::WouldFail => "would fail",
        }
    }

    /// What monitoring calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Tight => "WARNING",
            Self::Unknown => "UNKNOWN",
            Self::WouldFail => "CRITICAL",
        }
    }

    /// The exit code that monitoring expects.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Tight => 1,
            Self::WouldFail => 2,
            Self::Unknown => crate::check::UNKNOWN,
        }
    }
}

/// All that was found.
#[derive(Clone, Debug)]
pub struct Check {
    /// What it was found from.
    pub facts: NodeFacts,
    /// The kernel's page size in bytes.
    pub page_size: u64,
    /// Each order that is needed, the lowest first.
    pub orders: Vec<OrderCheck>,
    /// Ids for memory cgroups; `None` if their number is not known.
    pub ids: Option<IdCheck>,
}

/// Whether a block of an order can be had.
#[derive(Clone, Debug)]
pub struct OrderCheck {
    /// Which, and who needs it.
    pub need: Need,
    /// How it stands.
    pub standing: Standing,
    /// Why, in a sentence's part.
    pub reason: String,
    /// Blocks that could be had, larger ones split.
    pub blocks: u64,
    /// Every zone that it could come from.
    pub zones: Vec<ZoneCheck>,
}

/// What a zone has for an order.
#[derive(Clone, Debug)]
pub struct ZoneCheck {
    /// The zone.
    pub zone: Zone,
    /// What it offers.
    pub offer: Offer,
    /// Free blocks of that order, larger ones split, as far as the pages above the watermark go.
    pub blocks: u64,
    /// Pages that would be left above the `min` watermark and the zone's reserve.
    pub margin: i64,
    /// The kernel's fragmentation index, where that says something.
    pub index: Option<f64>,
}

/// Whether an id for another memory cgroup can be had.
#[derive(Clone, Copy, Debug)]
pub struct IdCheck {
    /// How it stands.
    pub standing: Standing,
    /// How many there are.
    pub cgroups: MemoryCgroups,
    /// Ids that are left for certain: all that are counted may hold one.
    pub left: u64,
}

impl Check {
    /// How all of it stands together: as the worst of it.
    pub fn standing(&self) -> Standing {
        let orders = self.orders.iter().map(|order| order.standing);
        orders.chain(self.ids.map(|ids| ids.standing)).max().unwrap_or(Standing::Unknown)
    }

    /// What the answer does not count in, in sentences.
    pub fn not_seen(&self) -> Vec<String> {
        let mut not_seen = vec![
            "what reclaim and compaction could make free: the kernel tries both before it gives up"
                .to_owned(),
            "free blocks held back for high-order atomic allocations, in CMA or isolated: they are \
             counted as if anybody could have them"
                .to_owned(),
            "limits of cgroups, and nodes that a cpuset allows".to_owned(),
        ];
        if self.ids.is_none() {
            not_seen.push("how many memory cgroups there are".to_owned());
        }
        not_seen
    }
}

/// Judges.
pub fn assess(facts: NodeFacts, needs: Vec<Need>, page_size: u64) -> Check {
    let old = facts.kernel.as_deref().is_some_and(|release| is_before(release, (4, 4)));
    let zones: Vec<Zone> = facts.zones.iter().filter_map(|zone| zone.for_kernel(old)).collect();
    let low: Vec<u64> = facts
        .zones
        .iter()
        .filter(|zone| zone.lowmem_reserve.is_some())
        .map(|zone| zone.low)
        .collect();
    let orders = needs.into_iter().map(|need| order(need, &zones, &low, page_size)).collect();
    let ids = facts.memory_cgroups.map(|cgroups| ids(cgroups, facts.kernel.as_deref()));
    Check { facts, page_size, orders, ids }
}

/// One order; `low` has the zones' `low` watermarks.
fn order(need: Need, zones: &[Zone], low: &[u64], page_size: u64) -> OrderCheck {
    let order = need.order;
    let zones: Vec<ZoneCheck> = zones.iter().map(|zone| zone_check(zone, order)).collect();
    let usable = || zones.iter().zip(low).filter(|(zone, _)| zone.offer == Offer::Usable);
    let blocks = usable().map(|(zone, _)| zone.blocks).fold(0, u64::saturating_add);
    let relaxed = usable().any(|(zone, low)| {
        let above_min = i128::from(zone.margin) + i128::from(zone.zone.min_watermark);
        above_min > i128::from(*low)
    });
    let size = page_size.checked_shl(order).map_or_else(|| format!("order {order}"), bytes);
    let any = |offers: &[Offer]| zones.iter().any(|zone| offers.contains(&zone.offer));
    let plural = if blocks == 1 { "block" } else { "blocks" };
    let (standing, reason) = if usable().next().is_some() {
        let count = format!("{} {plural} of {size}", grouped(blocks));
        if blocks < TIGHT_BLOCKS {
            (Standing::Tight, format!("only {count}"))
        } else if relaxed {
            (Standing::Ok, count)
        } else {
            let reason = format!("{count}, but no zone has free pages above its low watermark");
            (Standing::Tight, reason)
        }
    } else if zones.is_empty() || any(&[Offer::Unseen, Offer::Unknown]) {
        (Standing::Unknown, "the zones could not be read".to_owned())
    } else {
        let pages = zones.iter().fold(0u64, |sum, zone| sum.saturating_add(zone.zone.free));
        let free = bytes(pages.saturating_mul(page_size));
        let why = if any(&[Offer::Fragmented, Offer::Reserved]) {
            format!("no block of {size} in any zone, with {free} free in smaller ones")
        } else {
            format!("no zone has pages for {size} above its watermark, {free} free in all")
        };
        let then = if order <= COSTLY_ORDER { "; it would have the OOM killer called" } else { "" };
        (Standing::WouldFail, format!("{why}{then}"))
    };
    OrderCheck { need, standing, reason, blocks, zones }
}

fn zone_check(zone: &Zone, order: u32) -> ZoneCheck {
    let pages = zone.pages_in_blocks_from(order);
    let taken = (1i128 << order.min(63)) - 1;
    let kept = i128::from(zone.free_cma) + i128::from(zone.min_watermark);
    let margin = i128::from(zone.free) - taken - kept - i128::from(zone.lowmem_reserve);
    // The first one takes what is left out of the margin; each further one takes a block more.
    let above = u64::try_from(margin).unwrap_or(0).div_ceil(1 << order.min(63));
    ZoneCheck {
        offer: zone.offer(order),
        blocks: pages.checked_shr(order).unwrap_or(0).min(above),
        margin: i64::try_from(margin).unwrap_or(i64::MIN),
        index: zone.fragmentation_index(order),
        zone: zone.clone(),
    }
}

/// A dying cgroup holds its id before 4.8; later only while memory of it lies in swap. Where dying
/// ones or those without the controller can't be told apart, all of them are counted as holding one,
/// and that all ids are gone is not claimed.
fn ids(cgroups: MemoryCgroups, kernel: Option<&str>) -> IdCheck {
    let dying_hold_ids = kernel.is_some_and(|release| is_before(release, (4, 8)));
    let certain = match cgroups.dying {
        _ if cgroups.at_most => 0,
        _ if dying_hold_ids => cgroups.count,
        Some(_) => cgroups.alive(),
        None => 0,
    };
    let left = MAX_MEMORY_CGROUPS.saturating_sub(cgroups.count);
    let standing = if certain >= MAX_MEMORY_CGROUPS {
        Standing::WouldFail
    } else if left < TIGHT_IDS {
        Standing::Tight
    } else {
        Standing::Ok
    };
    IdCheck { standing, cgroups, left }
}

/// Whether a release as `uname -r` prints it is older than `version`. One that can't be read is not.
fn is_before(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(['.', '-', '+']).map_while(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(a), Some(b)) if (a, b) < version)
}
