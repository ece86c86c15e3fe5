//! The CRI API of runtimes that respond correctly, wrongly or not at all.
use std::time::Instant;

use fragwatch_core::model::identity::{NamedBy, Query};

use crate::lookup::tests::{
    DEADLINE, Machine, all_replies, check, container,
    fake_runtime::{Behaviour, FakeRuntime},
    pod,
};

#[test]
fn containers_without_files_are_named_by_the_cri() {
    let machine = Machine::new("cri");
    let _runtime = FakeRuntime::start(&machine.0, Behaviour::Correct);
    let lookup = machine.lookup();
    let known = all_replies(&lookup, &pod());
    check(&known, NamedBy::Cri, Some("containerd"), Some("web-0"), None);
    assert_eq!(known[0].id, None, "a query for a pod does not determine a container id");
    let known = all_replies(&lookup, &container());
    check(&known, NamedBy::Cri, Some("containerd"), Some("web-0"), Some("nginx"));
    assert_eq!(
        all_replies(&lookup, &Query::Pod { uid: "0".repeat(32) }),
        [],
        "the runtime has no such pod"
    );
}

#[test]
fn a_socket_without_cri_is_skipped() {
    let machine = Machine::new("no-cri");
    let _docker = FakeRuntime::start(&machine.0, Behaviour::NoCri);
    assert_eq!(machine.query(&pod()), []);
    let _cri_o = FakeRuntime::start_at(&machine.0, "run/crio/crio.sock", Behaviour::Correct);
    check(&machine.query(&pod()), NamedBy::Cri, Some("cri-o"), Some("web-0"), None);
}

#[test]
fn a_faulty_runtime_names_no_container_and_delays_no_file() {
    for behaviour in [Behaviour::WrongId, Behaviour::Hangs, Behaviour::Closes, Behaviour::Garbage] {
        let machine = Machine::new(&format!("cri-{behaviour:?}"));
        let _runtime = FakeRuntime::start(&machine.0, behaviour);
        let lookup = machine.lookup();
        // The reply from files does not wait for the API.
        lookup.query(pod());
        let first =
            lookup.wait_for_reply(Instant::now() + DEADLINE).expect("a reply arrives in time");
        assert_eq!((first.identities, first.last), (Vec::new(), false), "{behaviour:?}");
        machine.pod_logs("default_web-1_0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f");
        let uid = "0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f".to_owned();
        lookup.query(Query::Pod { uid: uid.clone() });
        let mut left = vec![pod(), Query::Pod { uid }];
        while !left.is_empty() {
            let reply =
                lookup.wait_for_reply(Instant::now() + DEADLINE).expect("a reply arrives in time");
            if reply.query == pod() {
                assert_eq!((reply.identities, reply.last), (Vec::new(), true), "{behaviour:?}");
            } else {
                check(&reply.identities, NamedBy::PodLogs, None, Some("web-1"), None);
            }
            left.retain(|query| *query != reply.query);
        }
    }
}
