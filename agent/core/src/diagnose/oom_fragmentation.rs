//! OOM by fragmentation: the OOM killer was called for an allocation of an order above 0 though a
//! zone in its reach had enough pages above its watermark.
//!
//! Up to order 3 (`PAGE_ALLOC_COSTLY_ORDER`) an allocation that may wait doesn't fail: it
//! has processes killed until it gets its block (mm/page_alloc.c `__alloc_pages_may_oom`, the same
//! from 2.6.32 to 7.2). The zones are read as for fragmentation.
use crate::{
    diagnose::{
        Evidence, fragmentation,
        zones::{self, Reading},
    },
    model::{
        event::OomScope,
        verdict::{Cause, Confidence, Verdict},
        zone::{Offer, even_index},
    },
};

/// The verdict, if the rule holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    let oom = evidence.oom().filter(|oom| oom.scope == OomScope::Node && !oom.page_fault)?;
    let allocation = evidence.asked_for_kill().filter(|allocation| allocation.order > 0)?;
    let failure = allocation.failure.as_ref()?;
    let Reading::Fragmented(zone) = zones::read(evidence, allocation) else { return None };
    if !failure.zones_complete {
        return None;
    }
    let order = allocation.order;
    let mut doubts = evidence.gaps();
    doubts.extend(zones::doubt_about_nodes(allocation));
    if oom.bounded {
        doubts.push("which nodes its cpuset or memory policy left to it".to_owned());
    }
    let index = zone.fragmentation_index(order);
    let sure = zone.offer(order) == Offer::Fragmented
        && index.is_none_or(|index| index > even_index(order));
    let mut because = vec![
        format!(
            "the OOM killer was called for an order-{order} allocation ({})",
            zones::block(evidence, order)
        ),
        fragmentation::lack(evidence, zone, order, true),
    ];
    if let Some(index) = index {
        because.push(fragmentation::index(index, order));
    }
    Some(Verdict {
        cause: Cause::OomFragmentation,
        confidence: if sure { Confidence::without(&doubts) } else { Confidence::Medium },
        because,
        not_seen: doubts,
        remedies: fragmentation::remedies(evidence, allocation),
        no_help: vec![
            "more memory for the process that was killed: memory was free, in too small blocks",
        ],
    })
}
