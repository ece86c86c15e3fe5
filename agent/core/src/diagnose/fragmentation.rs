//! Fragmentation: an allocation of an order above 0 failed though a zone that it could
//! use had enough free pages for it above its watermark, because none of them lay in a block
//! that large.
//!
//! Rule: look at every zone in reach, as it was when the allocation failed. One that could not be
//! read whole, or that held a block that would have served, makes the reading inconclusive: blocks
//! come and go while no lock is held. Otherwise one zone with enough pages and no block is enough.
//! Source: `__zone_watermark_ok` and `__fragmentation_index`, the same from 5.10 to 7.2; before 4.4
//! half of the watermark had to lie in blocks above order 0, half of that above order 1, and so on,
//! so that the few large blocks there were could be refused.
//!
//! An error other than ENOMEM was not made by the allocation, whatever the zones were like. Nor is
//! there a verdict for movable pages where there is CMA, in which they may lie.
//!
//! Confidence is high if nothing is missing from the evidence, the index of the zone leans towards
//! fragmentation (above half of what single pages alone give) with no block held back in a reserve, the mask does not say that the
//! caller expects a failure (`__GFP_NOWARN`) where the creation failed, and all zones are of one
//! node or no cpuset bounds the allocation (`__GFP_HARDWALL`); else medium. Medium too for a mask
//! that may go below the watermark (`__GFP_HIGH`) or may not wait, for which no room was made, and
//! where a log shows pages in plenty but has lost the line with the blocks.
use crate::{
    diagnose::{
        Evidence, memcg_slots,
        zones::{self, Reading},
    },
    model::{
        allocation::{Allocation, Outcome},
        verdict::{Cause, Confidence, Remedy, Verdict},
        zone::{Offer, Zone, even_index},
    },
    units,
};

const COMPACT: Remedy = Remedy {
    title: "compact the node's memory now, then start the container again",
    command: "echo 1 > /proc/sys/vm/compact_memory",
    risk: "stalls allocations on the node while it runs, some seconds on a large one; pages \
               that can't be moved stay where they are",
    durable: false,
};

const PROACTIVE: Remedy = Remedy {
    title: "make the kernel keep larger blocks free in the background",
    command: "sysctl -w vm.compaction_proactiveness=60",
    risk: "some CPU time in kcompactd; put it under /etc/sysctl.d to keep it",
    durable: true,
};

const DEFRAG_MODE: Remedy = Remedy {
    title: "make the kernel keep kinds of pages apart, and compact before it mixes them",
    command: "sysctl -w vm.defrag_mode=1",
    risk: "more work in compaction and reclaim; put it under /etc/sysctl.d to keep it",
    durable: true,
};

const KEEP_FREE: Remedy = Remedy {
    title: "keep more memory free, so that large blocks last longer",
    command: "sysctl -w vm.min_free_kbytes=$(( $(cat /proc/sys/vm/min_free_kbytes) * 2 ))",
    risk: "the memory is gone for everything else; too high a value makes the OOM killer run; \
               put it under /etc/sysctl.d to keep it",
    durable: true,
};

/// What helps where only a low zone was in reach, of which `vm.min_free_kbytes` keeps next to
/// nothing free.
pub(super) const LOW_ZONE: Remedy = Remedy {
    title: "keep more of the low zones for allocations that can use no other",
    command: "sysctl vm.lowmem_reserve_ratio; sysctl -w vm.lowmem_reserve_ratio='…', with smaller numbers at the zone's place",
    risk: "the memory is gone for everything else; put it under /etc/sysctl.d to keep it",
    durable: true,
};

/// What helps against fragmentation in the zones that this allocation could use.
pub(super) fn remedies(evidence: &Evidence, allocation: &Allocation) -> Vec<Remedy> {
    if allocation.wants_low_zone() {
        return vec![COMPACT, LOW_ZONE];
    }
    let mut remedies = vec![COMPACT, PROACTIVE, DEFRAG_MODE, KEEP_FREE];
    // Where it isn't known, the kernel is hardly one of the newest.
    remedies.retain(|remedy| evidence.kernel.is_some() || *remedy != DEFRAG_MODE);
    remedies
}

/// The verdict, if one of the rules holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    from_zones(evidence).or_else(|| without_zones(evidence))
}

/// A log without Mem-Info. Above order 3 (`PAGE_ALLOC_COSTLY_ORDER`) the kernel gives up after
/// reclaim and compaction and calls no OOM killer, so that most such failures are fragmentation. Up
/// to order 3 an allocation that may wait doesn't fail for want of a block, and one that may not
/// wait may have lacked pages.
fn without_zones(evidence: &Evidence) -> Option<Verdict> {
    const COSTLY_ORDER: u32 = 3;
    let allocation = evidence.decisive()?;
    let failure = allocation.failure.as_ref()?;
    let traits = allocation.gfp.traits?;
    let order = allocation.order;
    let may_compact = traits.direct_reclaim && !traits.noretry;
    // A mask that asks for low memory: such zones are small, and lack of pages is as likely.
    let low_memory = allocation.wants_low_zone();
    let of_memory = evidence.errno.is_none_or(|errno| errno == libc::ENOMEM);
    if evidence.live
        || !failure.zones.is_empty()
        || order <= COSTLY_ORDER
        || !may_compact
        || low_memory
        || !of_memory
    {
        return None;
    }
    let mut not_seen = vec![format!(
        "the zones at the failure: the log has no Mem-Info for it. To confirm, run `cat \
         /proc/buddyinfo` while it fails: fragmentation shows next to nothing in the columns from \
         order {order} on and plenty in those of small orders; lack of memory shows little in all. \
         `cat /sys/kernel/debug/extfrag/extfrag_index` shows values near 1 or near 0"
    )];
    not_seen.extend(evidence.gaps());
    let mut because = vec![
        format!("the order-{order} allocation ({}) failed", zones::block(evidence, order)),
        "it may wait, reclaim and compact: above order 3 such an allocation mostly fails because \
         no free block is large enough"
            .to_owned(),
    ];
    let remedies = remedies_for(evidence, allocation, &mut because);
    Some(Verdict {
        cause: Cause::Fragmentation,
        confidence: Confidence::Low,
        because,
        not_seen,
        remedies,
        no_help: vec!["more memory for the container: no limit of it was hit"],
    })
}

fn from_zones(evidence: &Evidence) -> Option<Verdict> {
    let allocation = evidence.decisive()?;
    let failure = allocation.failure.as_ref()?;
    let traits = allocation.gfp.traits;
    let order = allocation.order;
    if order == 0 || evidence.errno.is_some_and(|errno| errno != libc::ENOMEM) {
        return None;
    }
    // Watched live, the mask is always known where the rest is.
    if traits.is_none() && evidence.live {
        return None;
    }
    let movable = traits.is_none_or(|traits| traits.movable);
    if movable && failure.zones.iter().any(|zone| zone.free_cma != 0) {
        return None;
    }
    let (zone, blocks_seen) = match zones::read(evidence, allocation) {
        Reading::Fragmented(zone) if failure.zones_complete => (zone, true),
        // A zone whose line of blocks is lost; where whole lines are missing, zones may be too.
        Reading::Plenty(zone) => (zone, false),
        _ => return None,
    };
    let mut doubts = evidence.gaps();
    if !blocks_seen {
        doubts.push(format!("the free blocks of {}: the line is cut or missing", zone.label()));
    }
    match traits {
        None => doubts.push("what its gfp mask says: the kernel is not known".to_owned()),
        Some(traits) => {
            if traits.nowarn && evidence.errno.is_some() {
                doubts
                    .push("whether its caller had a fallback, as __GFP_NOWARN suggests".to_owned());
            }
            if !traits.direct_reclaim {
                doubts.push(
                    "what reclaim and compaction would have made free: it may not wait for them"
                        .to_owned(),
                );
            } else if traits.high {
                doubts.push(
                    "how far below the watermark __GFP_HIGH let it go in this kernel".to_owned(),
                );
            }
        }
    }
    doubts.extend(zones::doubt_about_nodes(allocation));
    let reserved = zone.offer(order) == Offer::Reserved;
    let index = zone.fragmentation_index(order);
    let refused_by_marks = zone.per_order_marks && index.is_none();
    let sure =
        !reserved && (index.is_some_and(|index| index > even_index(order)) || refused_by_marks);
    let mut because = because(evidence, allocation, zone, blocks_seen);
    let remedies = remedies_for(evidence, allocation, &mut because);
    Some(verdict(sure, because, doubts, remedies))
}

/// The verdict; medium if the zone's index does not show fragmentation for sure.
pub(super) fn verdict(
    sure: bool,
    because: Vec<String>,
    doubts: Vec<String>,
    remedies: Vec<Remedy>,
) -> Verdict {
    Verdict {
        cause: Cause::Fragmentation,
        confidence: if sure { Confidence::without(&doubts) } else { Confidence::Medium },
        because,
        not_seen: doubts,
        remedies,
        no_help: vec!["more memory for the container: no limit of it was hit"],
    }
}

fn because(
    evidence: &Evidence,
    allocation: &Allocation,
    zone: &Zone,
    blocks_seen: bool,
) -> Vec<String> {
    let order = allocation.order;
    let block = zones::block(evidence, order);
    let outcome = match (evidence.errno, allocation.outcome) {
        (Some(_), _) => "failed, and the creation with ENOMEM",
        (None, Outcome::FellBack) => "failed; its caller went on without it",
        (None, _) => "failed",
    };
    let mut because = vec![format!("the order-{order} allocation ({block}) {outcome}")];
    because.push(lack(evidence, zone, order, blocks_seen));
    if let Some(index) = zone.fragmentation_index(order) {
        because.push(self::index(index, order));
    }
    if !allocation.compactions.is_empty() {
        let results: Vec<String> = allocation.compactions.iter().map(|r| r.describe()).collect();
        because.push(format!("direct compaction did not help: {}", results.join(", ")));
    }
    because
}

/// What an index of this order means. The most that an order can have is added where it is far from 1.
pub(super) fn index(index: f64, order: u32) -> String {
    let most = if order > 3 {
        "1".to_owned()
    } else {
        format!("{:.3}, the most at order {order},", even_index(order) * 2.0)
    };
    format!("fragmentation index {index:.3}, where 0 means lack of memory and {most} fragmentation")
}

/// What a fragmented zone had and lacked.
pub(super) fn lack(evidence: &Evidence, zone: &Zone, order: u32, blocks_seen: bool) -> String {
    let block = zones::block(evidence, order);
    let (name, free) = (zone.label(), zones::free(evidence, zone));
    if !blocks_seen {
        return format!(
            "{name} had {free} free, far above its watermark, so that only a block of {block} can have been lacking"
        );
    }
    let enough = format!("{name} had {free} free, enough above its watermark");
    match zone.offer(order) {
        Offer::Reserved => format!(
            "{enough}, but free blocks of {block} only in reserves that this allocation may not use"
        ),
        _ if zone.largest_order().is_some_and(|largest| largest >= order) => {
            let large =
                units::bytes(zone.pages_in_blocks_from(order).saturating_mul(evidence.page_size));
            format!(
                "{enough}, but only {large} of it in blocks of {block} and larger: before 4.4 the kernel refuses these when too little of the free memory lies in blocks above each smaller order"
            )
        }
        _ => format!("{enough}, but no free block of {block}"),
    }
}

/// The remedies. Where the growth of memory cgroup ids made the allocation so large, adds that to
/// `because`, and what helps against it.
fn remedies_for(
    evidence: &Evidence,
    allocation: &Allocation,
    because: &mut Vec<String>,
) -> Vec<Remedy> {
    let mut remedies = remedies(evidence, allocation);
    if let Some(behind) = memcg_slots::behind(evidence, allocation) {
        because.push(behind);
        remedies.extend(memcg_slots::remedies(evidence));
    }
    remedies
}
