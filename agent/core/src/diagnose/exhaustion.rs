//! Exhaustion: there was no free memory for it in any zone that it could use.
//!
//! Rules, each enough by itself:
//! - An allocation that may wait failed, and no zone in its reach had enough pages above
//!   its watermark (`__zone_watermark_ok`).
//!   It holds too for one that may not wait if these zones are smaller than the block altogether.
//! - It was of order 0, which no block can be lacking for, and what was read of the zones does not
//!   speak against it. Confidence is medium then.
//! - The OOM killer was called for the node at order 0. It is called after an attempt that is held
//!   to the `high` watermark failed too (`__alloc_pages_may_oom`), so confidence is high if every
//!   zone in reach was below it, medium if zones were not seen, and low if the order was not seen
//!   either. If a zone stood above it the report speaks against itself, and there is no verdict.
//! - The OOM killer was called for the node at an order above 0 and no zone had enough pages.
//! - A creation that was made waited longest for pages that no zone had: a near miss.
use crate::{
    diagnose::{
        Evidence, fragmentation,
        zones::{self, Reading},
    },
    model::{
        allocation::Allocation,
        event::OomScope,
        node::NodeMemory,
        verdict::{Cause, Confidence, Remedy, Verdict},
        zone::Zone,
    },
    units,
};

const REMEDIES: &[Remedy] = &[
    Remedy {
        title: "see what holds the memory, and end or move what the node can do without",
        command: "ps -eo pid,rss,cgroup:60,comm --sort=-rss | head -20; grep -E 'Slab|SUnreclaim|AnonPages|Shmem|HugePages_Total' /proc/meminfo",
        risk: "none to look; what is ended is gone",
        durable: false,
    },
    Remedy {
        title: "give containers limits that add up to less than the node has, and reserve memory for the system",
        command: "kubelet: --system-reserved=memory=… --kube-reserved=memory=… --eviction-hard=memory.available<5%",
        risk: "fewer containers fit on the node",
        durable: true,
    },
];

/// What helps where it could use a low zone only.
fn remedies(evidence: &Evidence) -> Vec<Remedy> {
    let allocation = evidence.decisive().or_else(|| evidence.asked_for_kill());
    match allocation {
        Some(allocation) if zones::too_small(allocation) => vec![SMALLER],
        Some(allocation) if allocation.wants_low_zone() => vec![fragmentation::LOW_ZONE],
        _ => REMEDIES.to_vec(),
    }
}

/// No zone in reach has that much at all.
const SMALLER: Remedy = Remedy {
    title: "make what asks for it ask for less: no zone in its reach is that large",
    command: "the options of the module or of the kernel that set its buffers' size; for kdump: crashkernel=…,low",
    risk: "depends on the driver",
    durable: true,
};

const WHICH_NODES: &str = "which nodes that were";

/// The verdict, if one of the rules holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    failed(evidence).or_else(|| killed(evidence))
}

fn failed(evidence: &Evidence) -> Option<Verdict> {
    let allocation = evidence.decisive()?;
    if evidence.errno.is_some_and(|errno| errno != libc::ENOMEM) {
        return None;
    }
    let too_small = zones::too_small(allocation);
    if !allocation.gfp.traits?.direct_reclaim && !too_small {
        return None;
    }
    let failure = allocation.failure.as_ref()?;
    let order = allocation.order;
    let mut doubts = evidence.gaps();
    let mut because =
        vec![format!("the order-{order} allocation ({}) failed", zones::block(evidence, order))];
    match zones::read(evidence, allocation) {
        Reading::Exhausted if failure.zones_complete => {
            because.extend(no_zone_had_pages(evidence, allocation));
            if too_small {
                because.push(
                    "all of these zones are smaller than the block, whatever is free".to_owned(),
                );
            }
            doubts.extend(zones::doubt_about_nodes(allocation));
        }
        _ if order > 0 => return None,
        // Zones of which some are missing can say nothing against it, but those that are there can.
        _ if failure.zones.iter().any(Zone::has_plenty) => {
            return None;
        }
        _ => {
            because.push("at order 0 it can't have lacked a larger block".to_owned());
            doubts.push(
                "the zones that it could use, whole and as they were at the failure".to_owned(),
            );
        }
    }
    Some(verdict(evidence, because, doubts, None))
}

fn killed(evidence: &Evidence) -> Option<Verdict> {
    let oom = evidence.oom().filter(|oom| oom.scope == OomScope::Node)?;
    let allocation = evidence.asked_for_kill();
    let mut doubts = evidence.gaps();
    let whose = if oom.bounded {
        "the memory that a cpuset or memory policy allows"
    } else {
        "the node's memory"
    };
    let mut because = vec![format!("the OOM killer was called because {whose} ran out")];
    if oom.bounded {
        doubts.push(WHICH_NODES.to_owned());
    }
    let zones = allocation.and_then(|a| a.failure.as_ref());
    let zones = zones.filter(|failure| !failure.zones.is_empty());
    match oom.order {
        Some(..0) => return None,
        Some(1..) => {
            let allocation =
                allocation.filter(|_| zones.is_some_and(|failure| failure.zones_complete))?;
            let Reading::Exhausted = zones::read(evidence, allocation) else { return None };
            because.push(format!("it was called for order {}", allocation.order));
            because.extend(no_zone_had_pages(evidence, allocation));
            return Some(verdict(evidence, because, doubts, None));
        }
        Some(0) => {
            because.push("it was called at order 0, which no block can be lacking for".to_owned());
        }
        None => doubts.push(
            "the order that it was called for: above 0, fragmentation would do as well".to_owned(),
        ),
    }
    let Some(failure) = zones else {
        // There were zones, and none that it could use.
        if evidence.excluded.is_some() {
            return None;
        }
        doubts.push("the zones, whole and as they were then".to_owned());
        let most = if oom.order.is_none() { Confidence::Low } else { Confidence::Medium };
        // A page fault's call may have come of a memory cgroup's kernel memory.
        return (!oom.page_fault).then(|| verdict(evidence, because, doubts, Some(most)));
    };
    if failure.zones.iter().any(Zone::has_plenty) {
        return None;
    }
    because.extend(failure.zones.iter().map(|zone| zones::exhausted(evidence, zone)));
    if oom.bounded
        && let Some(excluded) = evidence.excluded
    {
        doubts.retain(|doubt| doubt != WHICH_NODES);
        because.push(format!(
            "only node {} was allowed; {} had {} free",
            excluded.nodes,
            excluded.zone,
            units::bytes(excluded.free)
        ));
    }
    if !failure.zones_complete {
        doubts.push("all zones that it could use".to_owned());
    }
    if failure.zones.iter().any(|zone| zone.incomplete || zone.high_watermark.is_none()) {
        doubts.push("every zone's watermarks".to_owned());
    }
    Some(verdict(evidence, because, doubts, None))
}

/// A creation that waited for pages and got them.
pub(super) fn near_miss(
    evidence: &Evidence,
    allocation: &Allocation,
    waited: String,
    doubts: Vec<String>,
) -> Verdict {
    let mut because = vec![waited];
    because.extend(no_zone_had_pages(evidence, allocation));
    verdict(evidence, because, doubts, None)
}

fn no_zone_had_pages(evidence: &Evidence, allocation: &Allocation) -> Vec<String> {
    let zones = allocation.failure.iter().flat_map(|failure| &failure.zones);
    let mut because =
        vec!["no zone that it could use had enough pages above its watermark".to_owned()];
    because.extend(zones.map(|zone| zones::exhausted(evidence, zone)));
    because
}

fn verdict(
    evidence: &Evidence,
    mut because: Vec<String>,
    doubts: Vec<String>,
    most: Option<Confidence>,
) -> Verdict {
    because.extend(evidence.memory.and_then(swap));
    let confidence = Confidence::without(&doubts);
    Verdict {
        cause: Cause::Exhaustion,
        confidence: most.map_or(confidence, |most| most.min(confidence)),
        because,
        not_seen: doubts,
        remedies: remedies(evidence),
        no_help: vec!["compaction: it makes blocks larger and no page free"],
    }
}

/// What swap had left, where there was little of it.
fn swap(memory: &NodeMemory) -> Option<String> {
    match (memory.free_swap?, memory.total_swap?) {
        (_, 0) => Some("there is no swap".to_owned()),
        (free, total) if free < total / 50 => {
            Some(format!("{} of {} swap were free", units::bytes(free), units::bytes(total)))
        }
        _ => None,
    }
}
