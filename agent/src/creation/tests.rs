//! Stories told to the correlator, and creations for other tests.
use super::{outside::OUTSIDE_QUIET_NS, *};
use crate::{
    event::{CompactResult, CreationKey, Event, EventKind, Failure, LimitKind, OomScope},
    kernel::{gfp::tests::names_6_12, zone::tests::fragmented},
};

pub(crate) const KEY: CreationKey = CreationKey { began_ns: 1_000_000_000, tid: 753 };

pub(crate) fn at(creation: Option<CreationKey>, ms: u64, event: EventKind) -> Event {
    Event {
        time_ns: 1_000_000_000 + ms * 1_000_000,
        creation,
        task: Task { pid: 753, tid: 753, comm: "runc:[1:CHILD]".to_owned(), cgroup_id: 4711 },
        kind: event,
    }
}

pub(crate) fn frame(function: &str, module: Option<&str>) -> Frame {
    let module = module.map(str::to_owned);
    Frame { function: Some(function.to_owned()), module, address: 0xffff_ffff_8100_0000 }
}

fn failed(raw: u32) -> EventKind {
    let stack = [
        ("warn_alloc", None),
        ("__alloc_pages_slowpath.constprop.0", None),
        ("__alloc_pages_noprof", None),
        ("___kmalloc_large_node", None),
        ("fw_pernet_init", Some("fragwatch_pernet")),
        ("ops_init", None),
        ("setup_net", None),
        ("copy_net_ns", None),
        ("create_new_namespaces", None),
    ];
    EventKind::AllocationFailed {
        gfp: names_6_12().decode(raw),
        order: 6,
        failure: Failure {
            stack: stack.iter().map(|(f, m)| frame(f, *m)).collect(),
            zones: vec![fragmented()],
            zones_complete: true,
        },
    }
}

fn entered() -> EventKind {
    EventKind::SlowPathEntered { gfp: names_6_12().decode(0x40cc0), order: 6 }
}

fn compacted(stall_ns: u64) -> EventKind {
    let result = CompactResult::Complete;
    EventKind::CompactionEnded { gfp: names_6_12().decode(0x40cc0), order: 6, result, stall_ns }
}

fn began() -> EventKind {
    let id = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
    let pod = "pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
    let names = ["kubepods", "burstable", pod, id].map(str::to_owned).to_vec();
    let cgroup = CgroupPath { names, truncated: false };
    EventKind::NetnsSetupBegan { cgroup, call_flags: None, namespaces: 0x4000_0000 }
}

fn ended(errno: Option<i32>) -> EventKind {
    let netns = errno.is_none().then_some(4_026_532_115);
    EventKind::NetnsSetupEnded { errno, netns, lost: false }
}

fn tell(events: Vec<EventKind>) -> CreationStep {
    let mut correlator = Correlator::default();
    let mut stories = Vec::new();
    for (i, event) in events.into_iter().enumerate() {
        stories.extend(correlator.push(at(Some(KEY), i as u64, event)));
    }
    assert_eq!(correlator.unfinished(), 0);
    match stories.pop() {
        Some(Correlated::CreationStep(creation)) if stories.is_empty() => *creation,
        other => panic!("not one creation: {other:?} after {stories:?}"),
    }
}

/// One event of each kind, as one creation might have them.
pub(crate) fn every_event() -> Vec<EventKind> {
    let gfp = || names_6_12().decode(0x40cc0);
    let memcg = || Some("/kubepods/pod1".to_owned());
    vec![
        began(),
        EventKind::SlabCacheCreated { name: "fw_conn_17".to_owned(), size: 320, failed: false },
        entered(),
        compacted(1_200_000),
        EventKind::CompactionEnded {
            gfp: gfp(),
            order: 6,
            result: CompactResult::Other(99),
            stall_ns: 1,
        },
        EventKind::ReclaimEnded { gfp: gfp(), order: 6, reclaimed: 32, stall_ns: 9_000 },
        failed(0x40cc0),
        EventKind::MemcgReclaimEnded { gfp: gfp(), order: 0, reclaimed: 1, stall_ns: 5_000 },
        EventKind::ChargeFailed(ChargeFailed {
            memcg: memcg(),
            limit_kind: Some(LimitKind::Kmem),
            gfp: Some(gfp()),
            bytes: Some(4096),
            usage: Some(262_144),
            limit: Some(262_144),
            refusals: Some(5),
            errno: libc::ENOMEM,
        }),
        EventKind::OomKill(OomKill {
            pid: Some(679),
            comm: "runc:[2:INIT]".to_owned(),
            order: Some(1),
            gfp: Some(gfp()),
            scope: OomScope::Memcg(memcg()),
            cgroup_id: Some(4711),
            failure: Some(Failure::default()),
        }),
        EventKind::NamespaceRefused(NamespaceKind::Net),
        EventKind::ForkRefused(ForkRefused { cgroup: memcg(), processes: Some(3), limit: Some(3) }),
        EventKind::CgroupMade { id: 4711, path: CgroupPath::parse("/a/b") },
        EventKind::CgroupRenamed { id: 4711, path: CgroupPath::parse("/a/c") },
        EventKind::CgroupRemoved { id: 4711 },
        EventKind::PernetInitFailed {
            began_ns: Some(1_000_500_000),
            init: Some(frame("fw_pernet_init", Some("fragwatch_pernet"))),
            errno: libc::ENOMEM,
        },
        ended(Some(libc::ENOMEM)),
        EventKind::CgroupSetupEnded(CgroupSetup {
            parent: CgroupPath::parse("/kubepods"),
            name: "pod1".to_owned(),
            errno: Some(libc::ENOSPC),
            memory_errno: Some(libc::ENOSPC),
            lost: false,
        }),
    ]
}

/// The failure that the project is about.
pub(crate) fn failed_creation() -> CreationStep {
    let init = Some(frame("fw_pernet_init", Some("fragwatch_pernet")));
    let slab = ("fw_conn_17".to_owned(), 320, false);
    tell(vec![
        began(),
        EventKind::SlabCacheCreated { name: slab.0, size: slab.1, failed: slab.2 },
        entered(),
        compacted(1_200_000),
        compacted(1_210_000),
        failed(0x40cc0),
        EventKind::PernetInitFailed { began_ns: Some(1_000_500_000), init, errno: libc::ENOMEM },
        ended(Some(libc::ENOMEM)),
    ])
}

/// The same allocation fails, and the creation survives it.
pub(crate) fn degraded_creation() -> CreationStep {
    tell(vec![began(), entered(), compacted(400_000), failed(0x40cc0), ended(None)])
}

pub(crate) fn ok_creation() -> CreationStep {
    tell(vec![began(), ended(None)])
}

pub(crate) fn incident() -> Incident {
    let mut correlator = Correlator::default();
    assert_eq!(correlator.push(at(None, 1, compacted(3_000_000))), []);
    match correlator.push(at(None, 2, failed(0x40cc0))).pop() {
        Some(Correlated::Incident(incident)) => *incident,
        other => panic!("no incident: {other:?}"),
    }
}

#[test]
fn a_failed_creation_has_its_whole_story() {
    let creation = failed_creation();
    assert_eq!(creation.outcome(), Outcome::Failed);
    assert_eq!(creation.ended_ns - creation.began_ns, 7_000_000);
    assert_eq!(creation.allocations.len(), 1);
    assert_eq!(creation.allocations[0].outcome, AllocationOutcome::Failed);
    assert_eq!(creation.allocations[0].stall_ns, 2_410_000);
    assert_eq!(creation.slab_caches.len(), 1);
}

#[test]
fn what_went_well_in_the_end_had_a_fallback() {
    let creation = degraded_creation();
    assert_eq!(creation.outcome(), Outcome::Degraded);
    assert_eq!(creation.allocations[0].outcome, AllocationOutcome::FellBack);
}

#[test]
fn stalls_add_up() {
    let stalled = |ns| tell(vec![began(), entered(), compacted(ns), compacted(ns), ended(None)]);
    assert_eq!(stalled(500_000).outcome(), Outcome::Ok);
    assert_eq!(stalled(500_001).outcome(), Outcome::Stalled);
    assert_eq!(ok_creation().outcome(), Outcome::Ok);
}

#[test]
fn an_interrupts_failure_is_not_the_creations() {
    let EventKind::AllocationFailed { gfp, order, mut failure } = failed(0x820) else {
        unreachable!("`failed` makes failures")
    };
    failure.stack.insert(5, frame("handle_softirqs", None));
    let creation =
        tell(vec![began(), EventKind::AllocationFailed { gfp, order, failure }, ended(None)]);
    assert_eq!(creation.outcome(), Outcome::Ok);
}

#[test]
fn a_story_without_its_beginning_is_told() {
    let creation = tell(vec![failed(0x40cc0), ended(Some(libc::ENOMEM))]);
    assert_eq!(creation.cgroup, None);
    assert_eq!(creation.outcome(), Outcome::Failed);
}

#[test]
fn a_return_that_never_came_is_counted() {
    let mut correlator = Correlator::default();
    assert_eq!(correlator.push(at(Some(KEY), 0, began())), []);
    assert_eq!(correlator.unfinished(), 1);
    let later = CreationKey { began_ns: 2_000_000_000, ..KEY };
    assert_eq!(correlator.push(at(Some(later), 1000, began())), []);
    assert_eq!(correlator.push(at(Some(later), 1001, ended(None))).len(), 1);
    assert_eq!(correlator.unfinished(), 1);
}

#[test]
fn lost_events_mark_their_creation() {
    let lost = EventKind::NetnsSetupEnded { errno: None, netns: None, lost: true };
    assert!(tell(vec![began(), lost]).events_lost);
    assert!(!ok_creation().events_lost);
}

#[test]
fn a_failure_outlasts_what_went_well() {
    let mut events = vec![began(), failed(0xd20c0)];
    events.extend((0..40).flat_map(|_| [entered(), compacted(1000)]));
    events.push(ended(None));
    let creation = tell(events);
    assert_eq!(creation.outcome(), Outcome::Degraded);
    assert_eq!(creation.stall_ns, 40_000);
}

#[test]
fn failures_without_detail_are_only_counted() {
    let bare = || {
        let gfp = names_6_12().decode(0xd20c0);
        EventKind::AllocationFailed { gfp, order: 9, failure: Failure::default() }
    };
    let events = vec![began(), failed(0xd20c0), bare(), bare(), bare(), ended(None)];
    let creation = tell(events);
    assert_eq!((creation.allocations.len(), creation.allocations_omitted), (1, 3));
    assert_eq!(creation.outcome(), Outcome::Degraded);
    // Where nothing can be read at all, one stands for them.
    let creation = tell(vec![began(), bare(), bare(), ended(None)]);
    assert_eq!((creation.allocations.len(), creation.allocations_omitted), (1, 1));
}

#[test]
fn the_last_failure_is_kept_among_many() {
    let mut events = vec![began()];
    events.extend((0..100).map(|_| failed(0xd20c0)));
    events.extend([failed(0x40cc0), ended(Some(libc::ENOMEM))]);
    let creation = tell(events);
    assert_eq!(creation.allocations.len(), MAX_DETAILS);
    assert_eq!(creation.allocations_omitted, 101 - MAX_DETAILS as u64);
    assert_eq!(creation.allocations.last().map(|a| a.outcome), Some(AllocationOutcome::Failed));
}

#[test]
fn a_stall_outside_is_told_when_it_is_quiet() {
    let mut correlator = Correlator::default();
    correlator.push(at(None, 0, compacted(3_000_000)));
    assert_eq!(correlator.flush_outside(Some(1_000_000_000)), []);
    let later = 1_000_000_000 + OUTSIDE_QUIET_NS;
    assert_eq!(correlator.flush_outside(Some(later)).len(), 1);
    assert_eq!(correlator.flush_outside(Some(later)), []);
    assert_eq!(incident().allocation.map(|a| a.stall_ns), Some(3_000_000));
}

#[test]
fn reclaim_for_a_charge_is_part_of_the_stall() {
    let reclaimed = |stall_ns| EventKind::MemcgReclaimEnded {
        gfp: names_6_12().decode(0x400cc0),
        order: 0,
        reclaimed: 32,
        stall_ns,
    };
    let creation = tell(vec![began(), reclaimed(700_000), reclaimed(800_000), ended(None)]);
    assert_eq!(creation.outcome(), Outcome::Stalled);
    let expected = MemcgReclaims { count: 2, reclaimed: 64, stall_ns: 1_500_000 };
    assert_eq!(creation.memcg_reclaims, Some(expected));
    assert_eq!(creation.allocations, []);
    assert_eq!(ok_creation().memcg_reclaims, None);
}

/// Tells a story as it is seen without the hook on failed allocations.
pub(crate) fn tell_blindly(errno: Option<i32>) -> CreationStep {
    let mut correlator = Correlator::new(true, false);
    let EventKind::NetnsSetupBegan { cgroup, .. } = began() else { unreachable!("`began` begins") };
    // CLONE_NEWNET and CLONE_NEWIPC
    let began = EventKind::NetnsSetupBegan {
        cgroup,
        call_flags: Some(0x4800_0000),
        namespaces: 0x4800_0000,
    };
    let mut stories = Vec::new();
    for (i, event) in [began, entered(), compacted(600), ended(errno)].into_iter().enumerate() {
        stories.extend(correlator.push(at(Some(KEY), i as u64, event)));
    }
    match stories.pop() {
        Some(Correlated::CreationStep(creation)) => *creation,
        other => panic!("no creation: {other:?}"),
    }
}

#[test]
fn an_unseen_outcome_is_neither_failure_nor_recovery() {
    let creation = tell_blindly(Some(libc::ENOMEM));
    assert_eq!(creation.outcome(), Outcome::Failed);
    assert_eq!(creation.allocations[0].outcome, AllocationOutcome::Unknown);
    let creation = tell_blindly(None);
    assert_eq!(creation.outcome(), Outcome::Ok, "it may have got its pages");
    assert_eq!(creation.allocations[0].outcome, AllocationOutcome::Unknown);
}

#[test]
fn a_call_that_the_kernel_makes_anew_is_no_failure() {
    const ERESTARTNOINTR: i32 = 513;
    let mut correlator = Correlator::default();
    correlator.push(at(Some(KEY), 0, began()));
    assert_eq!(correlator.push(at(Some(KEY), 1, ended(Some(ERESTARTNOINTR)))), []);
    assert_eq!(correlator.unfinished(), 0);
}
