//! The verdict of `check`: a pure function of the node's facts and the orders that are needed.
use fragwatch_core::{
    model::{
        node::{MAX_MEMORY_CGROUPS, MemoryCgroups, NodeFacts},
        status::CheckStatus,
        zone::{Offer, Zone},
    },
    units::{bytes, grouped},
};

use crate::check::needs::Need;

/// With fewer blocks than this the order is tight. Starting a container creates about ten processes,
/// each of which takes an order-1 block on x86-64, and two or three containers may start at once.
pub(super) const TIGHT_BLOCKS: u64 = 32;

/// With fewer memory cgroup ids than this (5 %) they are tight. A node may replace hundreds of pods,
/// and an id leak takes days.
pub(super) const TIGHT_IDS: u64 = MAX_MEMORY_CGROUPS / 20;

/// Above this order an allocation fails; up to it, the kernel invokes the OOM killer
/// (include/linux/mmzone.h `PAGE_ALLOC_COSTLY_ORDER`).
const COSTLY_ORDER: u32 = 3;

/// The result of `check`.
#[derive(Clone, Debug)]
pub struct Check {
    /// The facts that it is based on.
    pub facts: NodeFacts,
    /// The kernel's page size in bytes.
    pub page_size: u64,
    /// One result per needed order, the lowest order first.
    pub orders: Vec<OrderCheck>,
    /// Memory cgroup ids; `None` if the number of memory cgroups is not known.
    pub ids: Option<IdCheck>,
}

/// Whether a block of an order could be allocated.
#[derive(Clone, Debug)]
pub struct OrderCheck {
    /// The order, and why it is needed.
    pub need: Need,
    /// The result for this order.
    pub status: CheckStatus,
    /// The reason for the status, as part of a sentence.
    pub reason: String,
    /// Blocks that could be allocated, including those from splitting larger blocks.
    pub blocks: u64,
    /// All zones that are not for movable pages only.
    pub zones: Vec<ZoneCheck>,
}

/// What a zone has free for an order.
#[derive(Clone, Debug)]
pub struct ZoneCheck {
    /// The zone as read.
    pub zone: Zone,
    /// Whether it could serve the order, else why not.
    pub offer: Offer,
    /// Free blocks of the order, including those from splitting larger blocks, limited by the pages
    /// above the watermark.
    pub blocks: u64,
    /// Pages above the `min` watermark and the zone's reserve after one such allocation.
    pub margin: i64,
    /// The kernel's fragmentation index; `None` where the order can be served.
    pub index: Option<f64>,
}

/// Whether a new memory cgroup would get an id.
#[derive(Clone, Copy, Debug)]
pub struct IdCheck {
    /// The result for ids.
    pub status: CheckStatus,
    /// The number of memory cgroups.
    pub cgroups: MemoryCgroups,
    /// Lower bound of free ids: every counted cgroup is assumed to hold one.
    pub left: u64,
}

impl Check {
    /// The overall status: the worst of all results.
    pub fn status(&self) -> CheckStatus {
        let orders = self.orders.iter().map(|order| order.status);
        orders.chain(self.ids.map(|ids| ids.status)).max().unwrap_or(CheckStatus::Unknown)
    }

    /// What the result does not take into account, in sentences.
    pub fn not_seen(&self) -> Vec<String> {
        let mut not_seen = vec![
            "memory that reclaim and compaction could free: the kernel tries both before it fails"
                .to_owned(),
            "free blocks reserved for high-order atomic allocations, in CMA or isolated: they are \
             counted as if every allocation could use them"
                .to_owned(),
            "limits of cgroups, and NUMA nodes that a cpuset allows".to_owned(),
        ];
        if self.ids.is_none() {
            not_seen.push("how many memory cgroups there are".to_owned());
        }
        not_seen
    }
}

/// Judges whether the needed orders and a memory cgroup id could be allocated now.
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

/// The result for one order. `low` holds the zones' `low` watermarks in pages, in the order of `zones`.
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
    let (status, reason) = if usable().next().is_some() {
        let count = format!("{} {plural} of {size}", grouped(blocks));
        if blocks < TIGHT_BLOCKS {
            (CheckStatus::Tight, format!("only {count}"))
        } else if relaxed {
            (CheckStatus::Ok, count)
        } else {
            let reason = format!("{count}, but no zone has free pages above its low watermark");
            (CheckStatus::Tight, reason)
        }
    } else if zones.is_empty() || any(&[Offer::Unseen, Offer::Unknown]) {
        (CheckStatus::Unknown, "the zones could not be read".to_owned())
    } else {
        let pages = zones.iter().fold(0u64, |sum, zone| sum.saturating_add(zone.zone.free));
        let free = bytes(pages.saturating_mul(page_size));
        let why = if any(&[Offer::Fragmented, Offer::Reserved]) {
            format!("no block of {size} in any zone, with {free} free in smaller ones")
        } else {
            format!("no zone has pages for {size} above its watermark, {free} free in all")
        };
        let then = if order <= COSTLY_ORDER { "; it would invoke the OOM killer" } else { "" };
        (CheckStatus::WouldFail, format!("{why}{then}"))
    };
    OrderCheck { need, status, reason, blocks, zones }
}

fn zone_check(zone: &Zone, order: u32) -> ZoneCheck {
    let pages = zone.pages_in_blocks_from(order);
    let taken = (1i128 << order.min(63)) - 1;
    let kept = i128::from(zone.free_cma) + i128::from(zone.min_watermark);
    let margin = i128::from(zone.free) - taken - kept - i128::from(zone.lowmem_reserve);
    // The margin already excludes the first block; each further one takes another block's pages.
    let above = u64::try_from(margin).unwrap_or(0).div_ceil(1 << order.min(63));
    ZoneCheck {
        offer: zone.offer(order),
        blocks: pages.checked_shr(order).unwrap_or(0).min(above),
        margin: i64::try_from(margin).unwrap_or(i64::MIN),
        index: zone.fragmentation_index(order),
        zone: zone.clone(),
    }
}

/// Before 4.8 a dying cgroup holds its id; later only while some of its memory is in swap. Where the
/// counts include dying cgroups or those without the memory controller, each is assumed to hold an
/// id, and the status is never worse than tight.
fn ids(cgroups: MemoryCgroups, kernel: Option<&str>) -> IdCheck {
    let dying_hold_ids = kernel.is_some_and(|release| is_before(release, (4, 8)));
    let certain = match cgroups.dying {
        _ if cgroups.at_most => 0,
        _ if dying_hold_ids => cgroups.count,
        Some(_) => cgroups.alive(),
        None => 0,
    };
    let left = MAX_MEMORY_CGROUPS.saturating_sub(cgroups.count);
    let status = if certain >= MAX_MEMORY_CGROUPS {
        CheckStatus::WouldFail
    } else if left < TIGHT_IDS {
        CheckStatus::Tight
    } else {
        CheckStatus::Ok
    };
    IdCheck { status, cgroups, left }
}

/// Whether a release, as `uname -r` prints it, is older than `version`. False if it can't be parsed.
fn is_before(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(['.', '-', '+']).map_while(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(a), Some(b)) if (a, b) < version)
}
