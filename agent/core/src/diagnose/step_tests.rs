//! Steps of a container's start beside the making of namespaces, from evidence to verdict, each beside
//! one that must not get the same.
use super::*;
use crate::{
    correlate::{Correlated, Correlator},
    fixtures,
    fixtures::{fragmented, names_6_12},
    model::{
        creation::Certainty,
        event::{
            CgroupPath, CgroupSetup, Event, EventKind, Failure, ForkRefused, NamespaceKind,
            Omitted, OomKill, OomScope, Task,
        },
        step::{CreationStep, Namespaces, Outcome, StepKind},
        verdict::{Cause, Confidence},
    },
};

const POD: &str = "/kubepods/burstable/pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";

fn by(comm: &str, event: EventKind) -> Event {
    let task = Task { pid: 753, tid: 753, comm: comm.to_owned(), cgroup_id: 7, user: None };
    Event { task, ..fixtures::at(None, 5, event) }
}

fn correlate(event: impl IntoIterator<Item = Event>) -> Vec<Correlated> {
    let mut correlator = Correlator::default();
    let mut correlated: Vec<_> = event.into_iter().flat_map(|one| correlator.push(one)).collect();
    correlated.extend(correlator.flush_outside(None));
    correlated
}

#[track_caller]
fn creation(mut correlated: Vec<Correlated>) -> CreationStep {
    match correlated.pop() {
        Some(Correlated::CreationStep(creation)) if correlated.is_empty() => *creation,
        other => panic!("not one creation: {other:?} after {correlated:?}"),
    }
}

fn of(creation: &CreationStep) -> (Cause, Confidence) {
    let verdict = diagnose(&Evidence::step(creation, 4096, &[]));
    (verdict.cause, verdict.confidence)
}

fn cgroup_setup(errno: i32, memory_errno: Option<i32>) -> CreationStep {
    let setup = CgroupSetup {
        parent: CgroupPath::parse("/kubepods"),
        name: "pod1".to_owned(),
        errno: Some(errno),
        memory_errno,
        oom_victim: None,
        lost: false,
        omitted: Omitted::default(),
    };
    creation(correlate([fixtures::at(Some(fixtures::KEY), 1, EventKind::CgroupSetupEnded(setup))]))
}

#[test]
fn enospc_of_the_memory_controller_is_memcg_ids() {
    for errno in [libc::ENOSPC, libc::EBUSY] {
        let refused = cgroup_setup(errno, Some(errno));
        assert!(refused.cgroup_setup().is_some());
        assert_eq!(refused.outcome(), Outcome::Failed);
        assert_eq!(refused.cgroup, Some(CgroupPath::parse("/kubepods/pod1")));
        assert_eq!(of(&refused), (Cause::MemcgIds, Confidence::High));
        // Another controller, or the hierarchy itself.
        assert_eq!(of(&cgroup_setup(errno, None)).0, Cause::Undetermined);
    }
    let no_memory = cgroup_setup(libc::ENOMEM, Some(libc::ENOMEM));
    assert_eq!(of(&no_memory).0, Cause::Undetermined);
}

#[test]
fn cgroup_max_descendants_is_not_memory() {
    for errno in [libc::EAGAIN, libc::ENODEV, libc::EINVAL] {
        assert_eq!(of(&cgroup_setup(errno, None)), (Cause::NotMemory, Confidence::High));
    }
    assert_eq!(of(&cgroup_setup(libc::ENOMEM, None)).0, Cause::Undetermined);
}

fn fork_refused(limit: Option<u64>) -> EventKind {
    let cgroup = limit.map(|_| POD.to_owned());
    EventKind::ForkRefused(ForkRefused { cgroup, processes: limit, limit, times: None })
}

#[test]
fn refused_fork_is_a_step_only_of_a_starting_container() {
    let refused = creation(correlate([by("runc:[2:INIT]", fork_refused(Some(3)))]));
    assert!(refused.fork_refused().is_some());
    assert_eq!(refused.errno, Some(libc::EAGAIN));
    assert_eq!(of(&refused), (Cause::PidsLimit, Confidence::High));
    let unseen = creation(correlate([by("runc:[2:INIT]", fork_refused(None))]));
    assert_eq!(of(&unseen), (Cause::PidsLimit, Confidence::Medium));
    match correlate([by("java", fork_refused(Some(3)))]).as_slice() {
        [Correlated::Incident(incident)] => {
            let verdict = diagnose(&Evidence::incident(incident, &[]));
            assert_eq!(verdict.cause, Cause::PidsLimit);
        }
        other => panic!("not one incident: {other:?}"),
    }
}

#[test]
fn guess_is_marked_as_guess() {
    let made = EventKind::CgroupMade { id: 7, path: CgroupPath::parse(POD) };
    let step =
        creation(correlate([fixtures::at(None, 1, made), by("java", fork_refused(Some(3)))]));
    let ties: Vec<Certainty> =
        step.start.iter().flat_map(|s| &s.parts).map(|part| part.tie).collect();
    assert_eq!(ties, [Certainty::Certain, Certainty::Guess]);
    assert_eq!(step.cgroup, Some(CgroupPath::parse(POD)));
}

#[test]
fn refused_namespace_kind_is_named() {
    let mut refused = fixtures::ok_creation();
    refused.errno = Some(libc::ENOSPC);
    let refusals = vec![NamespaceKind::Pid];
    refused.kind = StepKind::Namespaces(Namespaces { refused: refusals, ..Namespaces::default() });
    let verdict = diagnose(&Evidence::step(&refused, 4096, &[]));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::NamespaceLimit, Confidence::High));
    assert!(verdict.because[0].contains("user.max_pid_namespaces"), "{verdict:?}");
    let user =
        creation(correlate([by("podman", EventKind::NamespaceRefused(NamespaceKind::User))]));
    assert_eq!(of(&user), (Cause::NamespaceLimit, Confidence::High));
}

/// A kill at this order; the node had nothing but single pages then.
fn kill(pid: u32, comm: &str, order: i32) -> OomKill {
    let mut zone = fragmented();
    zone.blocks[1..].fill(0);
    let zones = vec![zone];
    OomKill {
        pid: Some(pid),
        comm: Some(comm.to_owned()),
        order: Some(order),
        gfp: Some(names_6_12().decode(0x40cc0)),
        scope: OomScope::Node,
        cgroup_id: None,
        failure: Some(Failure { stack: Vec::new(), zones, zones_complete: true }),
        ..OomKill::default()
    }
}

#[test]
fn oom_kill_is_a_step_if_victim_or_caller_is_starting() {
    let victim = kill(679, "runc:[2:INIT]", 1);
    let killed = creation(correlate([by("java", EventKind::OomKill(victim))]));
    assert!(matches!(killed.kind, StepKind::OomKill { .. }));
    assert_eq!(killed.outcome(), Outcome::Failed);
    assert_eq!(killed.task.pid, 679, "the one that died of it");
    assert_eq!(of(&killed), (Cause::OomFragmentation, Confidence::High));
    let asked = creation(correlate([by("runc:[2:INIT]", EventKind::OomKill(kill(1, "java", 1)))]));
    assert_eq!((asked.outcome(), asked.task.pid), (Outcome::Degraded, 753));
    assert_eq!(of(&asked).0, Cause::OomFragmentation);
    let twice =
        correlate([1, 2].map(|pid| by("runc:[2:INIT]", EventKind::OomKill(kill(pid, "java", 1)))));
    let parts: Vec<Option<u64>> = twice
        .iter()
        .map(|correlated| match correlated {
            Correlated::CreationStep(creation) => creation.continues(),
            other => panic!("no step: {other:?}"),
        })
        .collect();
    assert_eq!(parts, [None, Some(1)]);
    let neither = correlate([by("java", EventKind::OomKill(kill(1, "java", 1)))]);
    assert!(matches!(neither.as_slice(), [Correlated::Incident(_)]), "{neither:?}");
}

fn ended_by_a_signal(meanwhile: Option<OomKill>, oom_victim: Option<bool>) -> CreationStep {
    let kill = meanwhile.map(|kill| by("java", EventKind::OomKill(kill)));
    ended_by_a_signal_after(kill, oom_victim)
}

fn ended_by_a_signal_after(kill: Option<Event>, oom_victim: Option<bool>) -> CreationStep {
    let key = Some(fixtures::KEY);
    let ended = EventKind::NetnsSetupEnded {
        errno: Some(libc::EINTR),
        netns: None,
        lost: false,
        omitted: Omitted::default(),
        cgroup: CgroupPath::parse(POD),
        call_flags: None,
        namespaces: 0x4000_0000,
        oom_victim,
    };
    let events = kill.into_iter().chain([fixtures::at(key, 9, ended)]);
    let creations = correlate(events)
        .into_iter()
        .filter(|s| matches!(s, Correlated::CreationStep(_)))
        .collect();
    creation(creations)
}

#[test]
fn eintr_is_not_memory_unless_the_oom_killer_killed() {
    // Killers in user space are not seen.
    let by_another = ended_by_a_signal(None, Some(false));
    assert_eq!(of(&by_another), (Cause::NotMemory, Confidence::Medium));
    let verdict = diagnose(&Evidence::step(&by_another, 4096, &[]));
    assert!(verdict.not_seen.iter().any(|what| what.contains("systemd-oomd")), "{verdict:?}");
    assert_eq!(of(&ended_by_a_signal(None, None)), (Cause::NotMemory, Confidence::Medium));
    let other = kill(1, "java", 1);
    assert_eq!(of(&ended_by_a_signal(Some(other), None)).0, Cause::NotMemory);
    for oom_victim in [None, Some(true)] {
        let killed = ended_by_a_signal(Some(kill(753, "maker", 1)), oom_victim);
        assert!(killed.killed);
        assert_eq!(of(&killed).0, Cause::OomFragmentation);
    }
    // The kernel gave the victim's number to another process meanwhile.
    let kill_of_it = || EventKind::OomKill(kill(753, "maker", 1));
    let earlier = Event { time_ns: fixtures::KEY.began_ns - 1, ..by("java", kill_of_it()) };
    let reused = ended_by_a_signal_after(Some(earlier), Some(false));
    assert!(!reused.killed);
    assert_eq!(of(&reused).0, Cause::NotMemory);
    // The signal comes a moment before the note.
    assert!(ended_by_a_signal_after(Some(by("java", kill_of_it())), Some(false)).killed);
    // A subsystem's own EINTR says nothing of a signal.
    let mut of_subsystem = fixtures::failed_creation();
    of_subsystem.allocations.clear();
    of_subsystem.errno = Some(libc::EINTR);
    assert_eq!(of(&of_subsystem).0, Cause::Undetermined);
}

#[test]
fn victim_of_a_group_kill_was_killed_for_the_one_that_was_chosen() {
    let full = |path: &str| OomKill {
        scope: OomScope::Memcg(Some(path.to_owned())),
        order: Some(0),
        failure: None,
        ..kill(1, "java", 0)
    };
    let parent = POD.rsplit_once('/').expect("a path of several names").0;
    let killed = ended_by_a_signal(Some(full(parent)), Some(true));
    assert!(killed.killed);
    assert_eq!(killed.oom_kills[0].pid, Some(1));
    assert_eq!(of(&killed), (Cause::MemcgLimit, Confidence::High));
    // That of another cgroup has nothing to do with it, nor has a name that only begins alike.
    for other in ["/system.slice", &parent[..parent.len() - 1]] {
        let unknown = ended_by_a_signal(Some(full(other)), Some(true));
        assert!(unknown.killed, "the kernel says that it is a victim");
        assert_eq!(unknown.oom_kills[0].pid, Some(753));
        assert_eq!(of(&unknown), (Cause::Undetermined, Confidence::Low));
    }
}
