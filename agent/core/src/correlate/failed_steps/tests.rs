use super::*;
use crate::{
    attribution::cgroups::Made,
    fixtures::{failed, frame, names_6_12},
    model::{
        creation::Certainty,
        event::{CgroupPath, Event, EventKind, Failure, StartStep},
        step::Outcome as StepOutcome,
    },
};

const POD: &str = "/kubepods/burstable/pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
const RUNTIME: &str = "/system.slice/containerd.service";
const SECOND: u64 = 1_000_000_000;

/// A node where the cgroup 7 is at this path, made at that second.
fn node(path: &str, made_at: u64) -> Correlator {
    let mut correlator = Correlator::default();
    let made = Made { at_ns: made_at * SECOND, pid: 1 };
    correlator.cgroups().insert(7, &CgroupPath::parse(path), Some(made));
    correlator
}

fn event(comm: &str, time_ns: u64, kind: EventKind) -> Event {
    let task = Task { pid: 9, tid: 9, comm: comm.to_owned(), cgroup_id: 7 };
    Event { time_ns, creation: None, task, kind }
}

fn step(step: StartStep, errno: i32) -> EventKind {
    let (processes, process_limit) = (Some(3), Some(100));
    EventKind::StepFailed(FailedStep { step, errno, uid: 0, processes, process_limit })
}

/// An allocation of order 6 failed in these functions.
fn failure(functions: &[&str]) -> EventKind {
    let EventKind::AllocationFailed { gfp, order, failure } = failed(0x40cc0) else {
        unreachable!("`failed` makes failures")
    };
    let stack = functions.iter().map(|function| frame(function, None)).collect();
    EventKind::AllocationFailed { gfp, order, failure: Failure { stack, ..failure } }
}

fn the_step(correlated: Vec<Correlated>) -> CreationStep {
    match <[Correlated; 1]>::try_from(correlated) {
        Ok([Correlated::CreationStep(step)]) => *step,
        other => panic!("not one step: {other:?}"),
    }
}

#[test]
fn a_step_has_the_allocation_that_failed_in_it() {
    let mut correlator = node(POD, 1);
    let stack = ["warn_alloc", "veth_newlink", "rtnl_newlink.isra.0", "rtnetlink_rcv_msg"];
    assert_eq!(correlator.push(event("ip", 2 * SECOND, failure(&stack))), []);
    assert!(correlator.follows_outside());
    let ended = correlator.push(event("ip", 2 * SECOND + 5, step(StartStep::Link, libc::ENOMEM)));
    let step = the_step(ended);
    assert_eq!((step.errno, step.outcome()), (Some(libc::ENOMEM), StepOutcome::Failed));
    assert_eq!(step.allocations.len(), 1);
    assert!(step.container.is_some());
    assert_eq!(correlator.flush_outside(None), [], "it is reported once");
    assert_eq!(correlator.other_steps(), 0);
}

#[test]
fn an_allocation_of_something_else_is_not_blamed() {
    let mut correlator = node(POD, 1);
    let stack = ["warn_alloc", "sock_alloc_send_pskb", "unix_stream_sendmsg"];
    correlator.push(event("ip", 2 * SECOND, failure(&stack)));
    let ended = correlator.push(event("ip", 2 * SECOND + 5, step(StartStep::Link, libc::ENOMEM)));
    assert_eq!(the_step(ended).allocations, []);
}

#[test]
fn an_allocation_alone_is_reported_when_its_thread_is_quiet() {
    let mut correlator = node(POD, 1);
    correlator.push(event("ip", 2 * SECOND, failure(&["warn_alloc", "veth_newlink"])));
    assert_eq!(correlator.flush_outside(Some(2 * SECOND + 1)), []);
    let step = the_step(correlator.flush_outside(Some(2 * SECOND + OUTSIDE_QUIET_NS)));
    assert_eq!((step.kind.clone(), step.outcome()), (StepKind::Allocation, StepOutcome::Degraded));
    assert_eq!(step.allocations.len(), 1);
}

#[test]
fn a_refused_charge_is_the_next_steps() {
    let charge = || {
        EventKind::ChargeFailed(ChargeFailed {
            memcg: Some(POD.to_owned()),
            limit_kind: None,
            gfp: None,
            bytes: Some(4096),
            usage: Some(1 << 20),
            limit: Some(1 << 20),
            refusals: Some(16),
            errno: libc::ENOMEM,
        })
    };
    let mut correlator = node(POD, 1);
    correlator.push(event("runc:[2:INIT]", 2 * SECOND, charge()));
    let fork = step(StartStep::Fork, libc::ENOMEM);
    let step = the_step(correlator.push(event("runc:[2:INIT]", 2 * SECOND + 1, fork)));
    assert_eq!(step.charges.len(), 1);
    // Alone it is nothing.
    correlator.push(event("runc:[2:INIT]", 3 * SECOND, charge()));
    assert_eq!(correlator.flush_outside(None), []);
}

#[test]
fn only_a_containers_start_counts() {
    let fork = || step(StartStep::Fork, libc::EAGAIN);
    for (path, made_at, comm, tie) in [
        (POD, 1, "java", Some(Certainty::Guess)),
        (POD, 1, "runc:[2:INIT]", Some(Certainty::Certain)),
        // Anyone can take such a name in a container that has run for a while, and a user anywhere.
        (POD, 0, "runc:[2:INIT]", None),
        (POD, 0, "containerd", None),
        ("/user.slice/user-1000.slice", 1, "dockerd", None),
        (RUNTIME, 0, "containerd", Some(Certainty::Guess)),
        (RUNTIME, 0, "bridge", Some(Certainty::Guess)),
        (RUNTIME, 0, "runc:[1:CHILD]", Some(Certainty::Guess)),
        ("/system.slice/cron.service", 1, "sh", None),
    ] {
        let mut correlator = node(path, made_at);
        let ended = correlator.push(event(comm, 11 * SECOND, fork()));
        assert_eq!(correlator.other_steps(), u64::from(tie.is_none()), "{path} {comm}");
        let found = ended.first().map(|one| match one {
            Correlated::CreationStep(step) => {
                step.start.as_ref().and_then(|start| start.parts.last()).expect("a part").tie
            }
            Correlated::Incident(_) => panic!("{one:?}"),
        });
        assert_eq!(found, tie, "{path} {comm}");
    }
}

#[test]
fn an_unknown_cgroup_is_no_start() {
    let mut correlator = Correlator::default();
    let ended = correlator.push(event("containerd", SECOND, step(StartStep::Exec, libc::ENOMEM)));
    assert_eq!((ended, correlator.other_steps()), (Vec::new(), 1));
    // Its allocation is an incident, as all others are.
    let gfp = names_6_12().decode(0x40cc0);
    let alone = correlator.push(event("containerd", SECOND, failure(&["warn_alloc", "f"])));
    assert!(matches!(&alone[..], [Correlated::Incident(i)] if i.allocations[0].gfp == gfp));
}
