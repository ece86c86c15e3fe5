//! What the correlator makes of events.
use super::{outside::OUTSIDE_QUIET_NS, *};
use crate::{
    fixtures::*,
    model::{allocation::Outcome as AllocationOutcome, event::*, step::*},
};

#[test]
fn failed_step_has_allocation_caches_and_subsystem() {
    let creation = failed_creation();
    assert_eq!(creation.outcome(), Outcome::Failed);
    assert_eq!(creation.ended_ns - creation.began_ns, 7_000_000);
    assert_eq!(creation.allocations.len(), 1);
    assert_eq!(creation.allocations[0].outcome, AllocationOutcome::Failed);
    assert_eq!(creation.allocations[0].stall_ns, 2_410_000);
    assert_eq!(creation.slab_caches.len(), 1);
}

#[test]
fn failed_allocations_of_a_successful_step_fell_back() {
    let creation = degraded_creation();
    assert_eq!(creation.outcome(), Outcome::Degraded);
    assert_eq!(creation.allocations[0].outcome, AllocationOutcome::FellBack);
}

#[test]
fn stalls_add_up() {
    let stalled = |ns| step_of(vec![entered(), compacted(ns), compacted(ns), ended(None)]);
    assert_eq!(stalled(5_000_000).outcome(), Outcome::Ok);
    assert_eq!(stalled(5_000_001).outcome(), Outcome::Stalled);
    assert_eq!(ok_creation().outcome(), Outcome::Ok);
}

#[test]
fn failures_in_interrupt_context_are_ignored() {
    let EventKind::AllocationFailed { gfp, order, mut failure } = failed(0x820) else {
        unreachable!("`failed` makes failures")
    };
    failure.stack.insert(5, frame("handle_softirqs", None));
    let creation = step_of(vec![EventKind::AllocationFailed { gfp, order, failure }, ended(None)]);
    assert_eq!(creation.outcome(), Outcome::Ok);
}

#[test]
fn step_has_what_its_end_says() {
    let creation = failed_creation();
    assert_eq!(creation.namespaces().map(|made| made.flags), Some(0x4000_0000));
    // What came before the end stays.
    assert!(creation.pernet_init().is_some());
    assert!(creation.cgroup.is_some_and(|path| path.names.len() == 4));
}

#[test]
fn missing_return_is_counted_as_unfinished() {
    let mut correlator = Correlator::default();
    assert_eq!(correlator.push(at(Some(KEY), 0, entered())), []);
    assert_eq!(correlator.unfinished(), 1);
    let later = CreationKey { began_ns: 2_000_000_000, ..KEY };
    assert_eq!(correlator.push(at(Some(later), 1000, entered())), []);
    assert_eq!(correlator.push(at(Some(later), 1001, ended(None))).len(), 1);
    assert_eq!(correlator.unfinished(), 1);
}

#[test]
fn lost_events_mark_their_step() {
    let mut end = ended(None);
    if let EventKind::NetnsSetupEnded { lost, .. } = &mut end {
        *lost = true;
    }
    assert!(step_of(vec![end]).events_lost);
    assert!(!ok_creation().events_lost);
}

#[test]
fn failures_are_kept_before_recovered_allocations() {
    let mut events = vec![failed(0x40cc0)];
    events.extend((0..40).flat_map(|_| [entered(), compacted(1000)]));
    events.push(ended(None));
    let creation = step_of(events);
    assert_eq!(creation.outcome(), Outcome::Degraded);
    assert_eq!(creation.stall_ns, 40_000);
}

#[test]
fn failures_that_were_only_counted_are_added() {
    let mut end = ended(None);
    if let EventKind::NetnsSetupEnded { omitted, .. } = &mut end {
        *omitted = Omitted { failures: 3, stall_ns: 2_000_000 };
    }
    let creation = step_of(vec![failed(0xd20c0), end]);
    assert_eq!((creation.allocations.len(), creation.allocations_omitted), (1, 3));
    assert_eq!((creation.outcome(), creation.stall_ns), (Outcome::Ok, 2_000_000));
}

#[test]
fn last_failure_is_kept_among_many() {
    let mut events = Vec::new();
    events.extend((0..100).map(|_| failed(0xd20c0)));
    events.extend([failed(0x40cc0), ended(Some(libc::ENOMEM))]);
    let creation = step_of(events);
    assert_eq!(creation.allocations.len(), MAX_DETAILS);
    assert_eq!(creation.allocations_omitted, 101 - MAX_DETAILS as u64);
    assert_eq!(creation.allocations.last().map(|a| a.outcome), Some(AllocationOutcome::Failed));
}

#[test]
fn outside_stall_is_reported_when_its_thread_is_quiet() {
    let mut correlator = Correlator::default();
    correlator.push(at(None, 0, compacted(11_000_000)));
    assert_eq!(correlator.flush_outside(Some(1_000_000_000)), []);
    let later = 1_000_000_000 + OUTSIDE_QUIET_NS;
    assert_eq!(correlator.flush_outside(Some(later)).len(), 1);
    assert_eq!(correlator.flush_outside(Some(later)), []);
    assert_eq!(incident().allocations.iter().map(|a| a.stall_ns).collect::<Vec<_>>(), [3_000_000]);
}

#[test]
fn memcg_reclaim_is_part_of_the_stall() {
    let reclaimed = |stall_ns| EventKind::MemcgReclaimEnded {
        count: 1,
        reclaimed: 32,
        stall_ns,
        memcg: Some("/kubepods/pod1".to_owned()),
    };
    let creation = step_of(vec![reclaimed(7_000_000), reclaimed(8_000_000), ended(None)]);
    assert_eq!(creation.outcome(), Outcome::Stalled);
    let memcg = Some("/kubepods/pod1".to_owned());
    let expected = MemcgReclaims { memcg, count: 2, reclaimed: 64, stall_ns: 15_000_000 };
    assert_eq!(creation.memcg_reclaims, Some(expected));
    assert_eq!(creation.allocations, []);
    assert_eq!(ok_creation().memcg_reclaims, None);
}

#[test]
fn unobservable_outcome_is_neither_failure_nor_recovery() {
    let creation = step_with_failures_unobservable(Some(libc::ENOMEM));
    assert_eq!(creation.outcome(), Outcome::Failed);
    assert_eq!(creation.allocations[0].outcome, AllocationOutcome::Unknown);
    let creation = step_with_failures_unobservable(None);
    assert_eq!(creation.outcome(), Outcome::Ok, "it may have got its pages");
    assert_eq!(creation.allocations[0].outcome, AllocationOutcome::Unknown);
}

#[test]
fn restarted_system_call_is_no_failure() {
    const ERESTARTNOINTR: i32 = 513;
    let mut correlator = Correlator::default();
    correlator.push(at(Some(KEY), 0, entered()));
    assert_eq!(correlator.push(at(Some(KEY), 1, ended(Some(ERESTARTNOINTR)))), []);
    assert_eq!(correlator.unfinished(), 0);
}
