//! Near misses: a creation waited for memory and got it. What it waited for would have failed it, had no room
//! been made.
//!
//! Rule: nothing failed, and no process was killed. The cause is that of the longest wait:
//! - reclaim of a memory cgroup: `memcg-limit`;
//! - an allocation of an order above 0 for which direct compaction ran, while a zone in its reach had enough
//!   pages and no block: `fragmentation`;
//! - an allocation for which no zone in its reach had enough pages: `exhaustion`.
//!
//! The zones are those of the moment before room was made for it the first time. Confidence is high if they were
//! read whole; medium if another wait took a third of the time or more.
use crate::{
    diagnose::{
        Evidence, exhaustion, fragmentation, memcg_limit,
        zones::{self, Reading},
    },
    model::{
        allocation::{Allocation, Outcome},
        verdict::Verdict,
        zone::{Offer, even_index},
    },
    units,
};

/// The verdict, if the rule holds.
pub(super) fn diagnose(evidence: &Evidence) -> Option<Verdict> {
    let failed = |a: &Allocation| {
        matches!(a.outcome, Outcome::Failed | Outcome::FellBack) && !a.gfp.is_cheap_try()
    };
    if !evidence.live
        || evidence.errno.is_some()
        || evidence.oom().is_some()
        || evidence.allocations.iter().any(failed)
    {
        return None;
    }
    let longest = evidence.waited();
    let in_memcg = evidence.memcg_reclaims.map_or(0, |reclaims| reclaims.stall_ns);
    match evidence.memcg_reclaims {
        Some(reclaims) if longest.is_none_or(|a| a.stall_ns <= in_memcg) => {
            Some(memcg_limit::near_miss(evidence, reclaims))
        }
        _ => of_allocation(evidence, longest?),
    }
}

fn of_allocation(evidence: &Evidence, allocation: &Allocation) -> Option<Verdict> {
    let failure = allocation.failure.as_ref()?;
    let order = allocation.order;
    let waited = format!(
        "a near miss: it waited {} for an allocation of order {order} ({}), and then got it",
        units::duration(allocation.stall_ns),
        zones::block(evidence, order)
    );
    let mut doubts = evidence.gaps();
    if !failure.zones_complete {
        doubts.push("all zones that it could use, before room was made".to_owned());
    }
    doubts.extend(zones::doubt_about_nodes(allocation));
    let all: u64 = evidence.allocations.iter().map(|a| a.stall_ns).sum();
    let in_memcg = evidence.memcg_reclaims.map_or(0, |reclaims| reclaims.stall_ns);
    if all.saturating_add(in_memcg) - allocation.stall_ns > allocation.stall_ns / 2 {
        doubts.push("whether it is one cause: it waited for other memory, too".to_owned());
    }
    match zones::read(evidence, allocation) {
        Reading::Fragmented(zone) if order > 0 && !allocation.compactions.is_empty() => {
            let index = zone.fragmentation_index(order);
            let sure = zone.offer(order) == Offer::Fragmented
                && index.is_none_or(|index| index > even_index(order));
            let mut because = vec![waited, fragmentation::lack(evidence, zone, order, false)];
            because.extend(index.map(|index| fragmentation::index(index, order)));
            // Nothing has to be started again.
            let mut remedies = fragmentation::remedies(evidence, allocation);
            remedies.retain(|remedy| remedy.durable);
            Some(fragmentation::verdict(sure, because, doubts, remedies))
        }
        Reading::Exhausted => Some(exhaustion::near_miss(evidence, allocation, waited, doubts)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diagnose::diagnose,
        fixtures::{began_to_wait, compacted, ended, entered, failed, near_miss, step_of},
        model::{
            event::EventKind,
            step::{CreationStep, Outcome as StepOutcome},
            verdict::{Cause, Confidence},
        },
    };

    const MS: u64 = 1_000_000;

    fn verdict(creation: &CreationStep) -> Verdict {
        diagnose(&Evidence::step(creation, 4096, &[]))
    }

    fn reclaimed_in_pod(stall_ns: u64) -> EventKind {
        EventKind::MemcgReclaimEnded {
            count: 4,
            reclaimed: 64,
            stall_ns,
            memcg: Some("/kubepods/pod1".to_owned()),
        }
    }

    #[test]
    fn block_that_compaction_made_was_nearly_lacking() {
        let near = near_miss();
        assert_eq!(near.outcome(), StepOutcome::Stalled);
        let given = verdict(&near);
        assert_eq!((given.cause, given.confidence), (Cause::Fragmentation, Confidence::High));
        assert!(given.because[0].starts_with("a near miss: it waited 12.0 ms"), "{given:?}");
        assert!(near.allocations[0].failure.is_some(), "with call site and zones");
    }

    #[test]
    fn short_wait_is_none() {
        let short = step_of(vec![entered(), began_to_wait(), compacted(9 * MS), ended(None)]);
        assert_eq!(short.outcome(), StepOutcome::Ok);
    }

    #[test]
    fn longest_wait_decides() {
        let both = |in_pod: u64| {
            let events = [entered(), began_to_wait(), compacted(12 * MS), reclaimed_in_pod(in_pod)];
            verdict(&step_of(events.into_iter().chain([ended(None)]).collect()))
        };
        let given = both(2 * MS);
        assert_eq!((given.cause, given.confidence), (Cause::Fragmentation, Confidence::High));
        let given = both(11 * MS);
        assert_eq!((given.cause, given.confidence), (Cause::Fragmentation, Confidence::Medium));
        let given = both(13 * MS);
        assert_eq!(given.cause, Cause::MemcgLimit);
        assert!(given.because[0].contains("/kubepods/pod1"), "{given:?}");
    }

    #[test]
    fn wait_without_zones_is_undetermined() {
        let unseen = step_of(vec![entered(), compacted(12 * MS), ended(None)]);
        assert_eq!(verdict(&unseen).cause, Cause::Undetermined);
    }

    #[test]
    fn cheap_try_is_neither_trouble_nor_the_cause() {
        // SLUB's first try for a large block: NOWARN, NORETRY, no direct reclaim.
        let cheap = step_of(vec![failed(0xd20c0), ended(None)]);
        assert_eq!(cheap.outcome(), StepOutcome::Ok);
        assert_eq!(cheap.cheap_tries(), 1);
        let near = step_of(vec![failed(0xd20c0), reclaimed_in_pod(20 * MS), ended(None)]);
        assert_eq!(near.outcome(), StepOutcome::Stalled);
        assert_eq!(verdict(&near).cause, Cause::MemcgLimit);
        // One that had waited, and whose caller has no fallback, is.
        let degraded = step_of(vec![failed(0x40cc0), ended(None)]);
        assert_eq!(degraded.outcome(), StepOutcome::Degraded);
    }
}
