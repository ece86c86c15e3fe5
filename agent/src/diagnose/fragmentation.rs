//! Fragmentation: an allocation of an order above 0 came back NULL though a zone that it could
//! use had enough free pages for it above its watermark, because none of them lay in a block
//! that large.
//!
//! Rule: look at every zone in reach, as it was when the allocation failed. One that could not be
//! read whole, or that held a block that would have served, makes the reading inconclusive: blocks
//! come and go while no lock is held. Otherwise one zone with enough pages and no block is enough.
//! Source: `__zone_watermark_ok` and `__fragmentation_index`, the same from 5.10 to 7.2.
//!
//! An error other than ENOMEM was not made by the allocation, whatever the zones were like. Nor is
//! there a verdict for a mask that is not known, or for which the zones were weighed otherwise than
//! here: `__GFP_HIGH` may go below the watermark and into the atomic reserve, movable pages may lie
//! in CMA, and without `__GFP_DIRECT_RECLAIM` nobody tried to make room.
//!
//! Confidence is high if nothing is missing from the story, the index of the zone leans towards
//! fragmentation (above 0.5) with no block held back in a reserve, the mask does not say that the
//! caller expects a failure (`__GFP_NOWARN`) where the creation failed, and all zones are of one
//! node or no cpuset bounds the allocation (`__GFP_HARDWALL`); else medium.
use super::{Case, Cause, Confidence, Remedy, Verdict};
use crate::{
    allocation::{Allocation, Outcome},
    kernel::zone::{Offer, Zone, telling},
    units,
};

/// What helps against fragmentation.
const REMEDIES: &[Remedy] = &[
    Remedy {
        title: "compact the node's memory now, then start the container again",
        command: "echo 1 > /proc/sys/vm/compact_memory",
        risk: "stalls allocations on the node while it runs, some seconds on a large one; pages \
               that can't be moved stay where they are",
        durable: false,
    },
    Remedy {
        title: "make the kernel keep larger blocks free in the background",
        command: "sysctl -w vm.compaction_proactiveness=60",
        risk: "some CPU time in kcompactd; kernels before 5.9 don't have it; put it under \
               /etc/sysctl.d to keep it",
        durable: true,
    },
    Remedy {
        title: "keep more memory free, so that large blocks last longer",
        command: "sysctl -w vm.min_free_kbytes=$(( $(cat /proc/sys/vm/min_free_kbytes) * 2 ))",
        risk: "the memory is gone for everything else; too high a value makes the OOM killer run; \
               put it under /etc/sysctl.d to keep it",
        durable: true,
    },
];

/// The verdict, if the rule holds.
pub(super) fn diagnose(case: &Case, page_size: u64) -> Option<Verdict> {
    let allocation = case.decisive()?;
    let failure = allocation.failure.as_ref()?;
    let traits = allocation.gfp.traits?;
    let order = allocation.order;
    if order == 0 || case.errno.is_some_and(|errno| errno != libc::ENOMEM) {
        return None;
    }
    if !failure.zones_complete || traits.high || !traits.direct_reclaim {
        return None;
    }
    if traits.movable && failure.zones.iter().any(|zone| zone.free_cma != 0) {
        return None;
    }
    let zone = decisive_zone(&failure.zones, order)?;
    let reserved = zone.offer(order) == Offer::Reserved;
    let index = zone.fragmentation_index(order);

    let mut doubts = case.gaps();
    if traits.nowarn && case.errno.is_some() {
        doubts.push("whether its caller had a fallback, as __GFP_NOWARN suggests".to_owned());
    }
    let one_node = failure.zones.iter().all(|other| other.node == zone.node);
    if traits.hardwall && !one_node {
        doubts.push("which nodes its cpuset allowed".to_owned());
    }
    let sure = doubts.is_empty() && !reserved && index.is_some_and(|index| index > 0.5);
    Some(Verdict {
        cause: Cause::Fragmentation,
        confidence: if sure { Confidence::High } else { Confidence::Medium },
        because: because(case, allocation, zone, page_size),
        not_seen: doubts,
        remedies: REMEDIES.to_vec(),
    })
}

fn because(case: &Case, allocation: &Allocation, zone: &Zone, page_size: u64) -> Vec<String> {
    let order = allocation.order;
    let block = units::bytes(page_size << order);
    let name = zone.label();
    let free = units::bytes(zone.free.saturating_mul(page_size));
    let outcome = match (case.errno, allocation.outcome) {
        (Some(_), _) => "came back NULL, and the creation with ENOMEM",
        (None, Outcome::FellBack) => "came back NULL; its caller went on without",
        (None, _) => "came back NULL",
    };
    let mut because = vec![format!("the order-{order} allocation ({block}) {outcome}")];
    because.push(match zone.offer(order) {
        Offer::Reserved => format!(
            "{name} had {free} free, enough above its watermark, but free blocks of {block} only \
             in reserves that this allocation may not use"
        ),
        _ => format!(
            "{name} had {free} free, enough above its watermark, but no free block of {block}"
        ),
    });
    if let Some(index) = zone.fragmentation_index(order) {
        because.push(format!(
            "fragmentation index {index:.3}, where 0 means lack of memory and 1 fragmentation"
        ));
    }
    if !allocation.compactions.is_empty() {
        let results: Vec<String> = allocation.compactions.iter().map(|r| r.describe()).collect();
        because.push(format!("direct compaction did not help: {}", results.join(", ")));
    }
    because
}

/// The telling zone, if it had the pages but not the block and no zone makes the reading
/// inconclusive.
fn decisive_zone(zones: &[Zone], order: u32) -> Option<&Zone> {
    let inconclusive = |zone: &Zone| matches!(zone.offer(order), Offer::Usable | Offer::Unknown);
    if zones.iter().any(inconclusive) {
        return None;
    }
    telling(zones, order)
        .filter(|zone| matches!(zone.offer(order), Offer::Fragmented | Offer::Reserved))
}
