//! Atomic pressure: an allocation that may not wait (no `__GFP_DIRECT_RECLAIM`, before 4.4 no
//! `__GFP_WAIT`: interrupts, network reception) found no memory at once. The kernel neither reclaims nor compacts
//! for it; such failures mostly cost a packet, not a container.
//!
//! Rule: it failed, and either it was of order 0 or no zone in its reach had enough pages for
//! it, with what it may take of the reserves (mm/page_alloc.c `__zone_watermark_ok`). Confidence is
//! high if every zone stood below its `min` watermark, medium if zones were not seen whole. A zone
//! above its `high` watermark speaks against it, and so do zones that are smaller than the block.
use crate::{
    diagnose::{
        Evidence,
        zones::{self, Reading},
    },
    model::{
        slab::SlabFailed,
        verdict::{Cause, Confidence, Remedy, Verdict},
        zone::{Offer, Zone},
    },
};

const REMEDIES: &[Remedy] = &[
    Remedy {
        title: "keep more memory free for those that can't wait",
        command: "sysctl -w vm.min_free_kbytes=$(( $(cat /proc/sys/vm/min_free_kbytes) * 2 ))",
        risk: "the memory is gone for everything else; too high a value makes the OOM killer run; put it \
               under /etc/sysctl.d to keep it",
        durable: true,
    },
    Remedy {
        title: "make kswapd begin earlier",
        command: "sysctl -w vm.watermark_scale_factor=100",
        risk: "some CPU time and page cache; put it under /etc/sysctl.d to keep it",
        durable: true,
    },
];

/// The verdict, if the rule holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    of_pages(evidence).or_else(|| of_slab(evidence))
}

/// A slab cache of no memory cgroup that got no page for an object whose mask may not wait. The
/// page allocator prints nothing then: SLUB asks for pages with `__GFP_NOWARN`.
fn of_slab(evidence: &Evidence) -> Option<Verdict> {
    if evidence.decisive().is_some() || evidence.oom().is_some() {
        return None;
    }
    let failed = evidence.slab_failures;
    let may_not_wait = |slab: &SlabFailed| {
        let gfp = slab.gfp.as_ref();
        let names = gfp.and_then(|gfp| gfp.flags.as_deref()).unwrap_or_default();
        let charged = names.contains("ACCOUNT") || slab.memcg().is_some();
        let waits = gfp.and_then(|gfp| gfp.traits).is_none_or(|traits| traits.direct_reclaim);
        slab.cache.is_some() && !charged && !waits
    };
    if failed.is_empty() || !failed.iter().all(may_not_wait) {
        return None;
    }
    let cache = failed[0].cache.as_deref().unwrap_or_default();
    let mut doubts = evidence.gaps();
    doubts.push("the zones at the failure: SLUB prints none".to_owned());
    Some(verdict(
        vec![
            format!(
                "slab cache {cache} got no page, though order {} would do",
                failed[0].min_order.unwrap_or(0)
            ),
            "its mask says that it may not wait for memory to be made free".to_owned(),
        ],
        doubts,
    ))
}

fn of_pages(evidence: &Evidence) -> Option<Verdict> {
    let allocation = evidence.decisive()?;
    if evidence.errno.is_some_and(|errno| errno != libc::ENOMEM)
        || allocation.gfp.traits?.direct_reclaim
    {
        return None;
    }
    let failure = allocation.failure.as_ref()?;
    let order = allocation.order;
    let exhausted =
        matches!(zones::read(evidence, allocation), Reading::Exhausted) && failure.zones_complete;
    if order > 0 && !exhausted {
        return None;
    }
    if failure.zones.iter().any(Zone::has_plenty) {
        return None;
    }
    if zones::too_small(allocation) {
        return None;
    }
    let below_min = failure.zones_complete
        && failure.zones.iter().all(|zone| zone.offer(0) == Offer::Exhausted);
    let mut doubts = evidence.gaps();
    if !below_min {
        doubts.push("that every zone stood below its watermark at the failure".to_owned());
    }
    let mut because = vec![
        format!("the order-{order} allocation ({}) failed", zones::block(evidence, order)),
        "its mask says that it may not wait for memory to be made free".to_owned(),
    ];
    because.extend(failure.zones.iter().map(|zone| zones::exhausted(evidence, zone)));
    Some(verdict(because, doubts))
}

fn verdict(because: Vec<String>, doubts: Vec<String>) -> Verdict {
    Verdict {
        cause: Cause::AtomicPressure,
        confidence: Confidence::without(&doubts),
        because,
        not_seen: doubts,
        remedies: REMEDIES.to_vec(),
        no_help: vec!["starting the container again: it waits for its own allocations"],
    }
}
