//! Fragmentation: an allocation of an order above 0 came back NULL though a zone that it could
//! use had enough free pages for it above its watermark, because none of them lay in a block
//! that large.
//!
//! Rule: look at every zone in reach, as it was when the allocation failed. One that could not be
//! read whole, or that held a block that would have served, makes the reading inconclusive: blocks
//! come and go while no lock is held. Otherwise one zone with enough pages and no block is enough.
//! Source: `__zone_watermark_ok` and `__fragmentation_index`, the same from 5.10 to 7.2.
//!
//! An error other than ENOMEM was not made by the allocation, whatever the zones were like.
//!
//! Confidence is high if all zones were read, nothing was lost, and the index of the zone leans
//! towards fragmentation (above 0.5) with no block held back in a reserve; else medium.
use super::{Case, Cause, Confidence, Remedy, Verdict};
use crate::{
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
    let order = allocation.order;
    if order == 0 || case.errno.is_some_and(|errno| errno != libc::ENOMEM) {
        return None;
    }
    if !failure.zones_complete {
        return None;
    }
    let zone = decisive_zone(&failure.zones, order)?;
    let offer = zone.offer(order);
    let block = units::bytes(page_size << order);
    let name = zone.label();
    let free = units::bytes(zone.free.saturating_mul(page_size));

    let mut because = vec![match case.errno {
        Some(_) => format!(
            "the order-{order} allocation ({block}) came back NULL, and the creation with ENOMEM"
        ),
        None => format!(
            "the order-{order} allocation ({block}) came back NULL; its caller went on without"
        ),
    }];
    because.push(match offer {
        Offer::Reserved => format!(
            "{name} had {free} free, enough above its watermark, but free blocks of {block} \
             only in reserves that this allocation may not use"
        ),
        _ => format!(
            "{name} had {free} free, enough above its watermark, but no free block of {block}"
        ),
    });
    let index = zone.fragmentation_index(order);
    if let Some(index) = index {
        because.push(format!(
            "fragmentation index {index:.3}, where 0 means lack of memory and 1 fragmentation"
        ));
    }
    if !allocation.compactions.is_empty() {
        let results: Vec<String> = allocation.compactions.iter().map(|r| r.describe()).collect();
        because.push(format!("direct compaction did not help: {}", results.join("; ")));
    }

    let not_seen = case.gaps();
    let sure =
        not_seen.is_empty() && offer == Offer::Fragmented && index.is_some_and(|index| index > 0.5);
    Some(Verdict {
        cause: Cause::Fragmentation,
        confidence: if sure { Confidence::High } else { Confidence::Medium },
        because,
        not_seen,
        remedies: REMEDIES.to_vec(),
    })
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
