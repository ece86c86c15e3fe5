//! Runtimes' sockets that reply, lie, hang and die.
use std::time::Instant;

use fragwatch_core::model::identity::{NamedBy, Query};

use crate::lookup::tests::{
    DEADLINE, Machine, ask, check, container, pod,
    runtime::{Behaviour, FakeRuntime},
};

#[test]
fn the_cri_names_what_files_do_not() {
    let machine = Machine::new("cri");
    let _runtime = FakeRuntime::start(&machine.0, Behaviour::Answers);
    let resolver = machine.resolver();
    let known = ask(&resolver, &pod());
    check(&known, NamedBy::Cri, Some("containerd"), Some("web-0"), None);
    assert_eq!(known[0].id, None, "it was asked for a pod");
    let known = ask(&resolver, &container());
    check(&known, NamedBy::Cri, Some("containerd"), Some("web-0"), Some("nginx"));
    assert_eq!(ask(&resolver, &Query::Pod { uid: "0".repeat(32) }), [], "it knows no such pod");
}

#[test]
fn a_socket_without_a_cri_is_passed_over() {
    let machine = Machine::new("no-cri");
    let _docker_s = FakeRuntime::start(&machine.0, Behaviour::HasNoCri);
    assert_eq!(machine.ask(&pod()), []);
    let _cri_o = FakeRuntime::start_at(&machine.0, "run/crio/crio.sock", Behaviour::Answers);
    check(&machine.ask(&pod()), NamedBy::Cri, Some("cri-o"), Some("web-0"), None);
}

#[test]
fn a_runtime_that_lies_hangs_or_dies_names_nobody() {
    for behaviour in [Behaviour::Lies, Behaviour::Hangs, Behaviour::Dies, Behaviour::Garbage] {
        let machine = Machine::new(&format!("cri-{behaviour:?}"));
        let _runtime = FakeRuntime::start(&machine.0, behaviour);
        let resolver = machine.resolver();
        // What files tell doesn't wait for it.
        resolver.ask(pod());
        let first = resolver.wait(Instant::now() + DEADLINE).expect("an reply comes in time");
        assert_eq!((first.identities, first.last), (Vec::new(), false), "{behaviour:?}");
        machine.pod_logs("default_web-1_0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f");
        let uid = "0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f".to_owned();
        resolver.ask(Query::Pod { uid: uid.clone() });
        let mut left = vec![pod(), Query::Pod { uid }];
        while !left.is_empty() {
            let reply = resolver.wait(Instant::now() + DEADLINE).expect("an reply comes in time");
            if reply.query == pod() {
                assert_eq!((reply.identities, reply.last), (Vec::new(), true), "{behaviour:?}");
            } else {
                check(&reply.identities, NamedBy::PodLogs, None, Some("web-1"), None);
            }
            left.retain(|query| *query != reply.query);
        }
    }
}
