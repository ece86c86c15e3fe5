use super::*;
use crate::{
    correlate::{Correlated, Correlator},
    fixtures::{at, names_6_12},
    model::event::{CgroupPath, Event, EventKind, OomScope, Task},
};

const POD: &str = "/kubepods/burstable/pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";

/// Process 1 asks for memory, and another process is killed for it.
fn kill(ms: u64, order: i32, victim: u32, cgroup_id: u64) -> Event {
    let kill = OomKill {
        pid: Some(victim),
        comm: Some("java".to_owned()),
        order: Some(order),
        gfp: Some(names_6_12().decode(0xdc0)),
        scope: OomScope::Node,
        cgroup_id: Some(cgroup_id),
        ..OomKill::default()
    };
    let task = Task { pid: 1, tid: 1, comm: "init".to_owned(), cgroup_id: 1 };
    Event { task, ..at(None, ms, EventKind::OomKill(kill)) }
}

fn correlator() -> Correlator {
    let mut correlator = Correlator::default();
    correlator.cgroups().insert(7, &CgroupPath::parse(&format!("{POD}/{}", "ab".repeat(32))), None);
    correlator.cgroups().insert(8, &CgroupPath::parse("/system.slice/cron.service"), None);
    correlator
}

/// The incidents that these events make.
fn incidents(events: Vec<Event>) -> Vec<Incident> {
    let mut correlator = correlator();
    let mut correlated: Vec<Correlated> =
        events.into_iter().flat_map(|event| correlator.push(event)).collect();
    correlated.extend(correlator.flush_outside(None));
    let incident = |one| match one {
        Correlated::Incident(incident) => *incident,
        Correlated::CreationStep(step) => panic!("no start was under way: {step:?}"),
    };
    correlated.into_iter().map(incident).collect()
}

#[test]
fn several_kills_for_one_allocation_are_one_incident() {
    let found = incidents(vec![kill(1, 1, 40, 7), kill(200, 1, 41, 7), kill(900, 1, 42, 8)]);
    let [one] = &found[..] else { panic!("not one incident: {found:#?}") };
    let pids: Vec<_> = one.oom_kills.iter().filter_map(|kill| kill.pid).collect();
    assert_eq!(pids, [40, 41, 42]);
    assert_eq!(one.allocations.len(), 1);
    assert_eq!(one.comm.as_deref(), Some("init"));
}

#[test]
fn another_order_and_a_later_kill_are_incidents_of_their_own() {
    let found = incidents(vec![kill(1, 1, 40, 7), kill(2, 2, 41, 7), kill(1500, 2, 42, 7)]);
    let pids: Vec<_> = found.iter().map(|one| one.oom_kills[0].pid).collect();
    assert_eq!(pids, [Some(40), Some(41), Some(42)]);
}

#[test]
fn an_incident_ends_when_its_thread_has_been_quiet() {
    let mut correlator = correlator();
    assert_eq!(correlator.push(kill(1, 1, 40, 7)), []);
    assert!(correlator.follows_outside());
    let ended = |correlator: &mut Correlator, ms: u64| {
        correlator.flush_outside(Some(1_000_000_000 + ms * 1_000_000)).len()
    };
    assert_eq!(ended(&mut correlator, 900), 0);
    assert_eq!(ended(&mut correlator, 1002), 1);
    assert!(!correlator.follows_outside());
}

#[test]
fn a_kill_is_news_if_it_was_for_a_block_or_of_a_container() {
    let is_news = |event| incidents(vec![event])[0].is_news();
    assert!(is_news(kill(1, 0, 40, 7)), "a container's process");
    assert!(is_news(kill(1, 1, 40, 8)), "for a block of pages");
    assert!(!is_news(kill(1, 0, 40, 8)), "a service's process, for a page");
    assert!(!is_news(kill(1, 0, 40, 999)), "of an unknown cgroup");
}

#[test]
fn the_victims_container_is_named() {
    let found = incidents(vec![kill(1, 1, 40, 7)]);
    let container = found[0].oom_kills[0].container.as_ref().expect("a container");
    assert_eq!(container.pod_uid.as_deref(), Some("6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f"));
    assert!(container.id.is_some());
}
