//! Names from files, valid and damaged.
use std::fs;

use fragwatch_core::model::identity::{NamedBy, Query};

use crate::lookup::tests::{CONTAINERD_SPEC, ID, Machine, UID, all_replies, check, container, pod};

const CRI_O_SPEC: &str = r#"{"annotations":{"io.container.manager":"cri-o",
    "io.kubernetes.container.name":"nginx","io.kubernetes.pod.name":"web-0",
    "io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f"}}"#;

#[test]
fn pods_are_named_by_their_log_directories() {
    let machine = Machine::new("pod-logs");
    machine.pod_logs("default_web-0_UID");
    machine.pod_logs("default_other_0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f");
    machine.pod_logs("not-a-pod");
    machine.pod_logs("a_b_c_UID");
    let known = machine.query(&pod());
    assert_eq!(known.len(), 1);
    check(&known, NamedBy::PodLogs, None, Some("web-0"), None);
    assert_eq!(known[0].namespace.as_deref(), Some("default"));
    // A query for a container also finds its pod; one for an unknown pod finds nothing.
    let of_pod = Query::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
    check(&machine.query(&of_pod), NamedBy::PodLogs, None, Some("web-0"), None);
    assert_eq!(machine.query(&Query::Pod { uid: "0".repeat(32) }), []);
    // The uid of a static pod has no dashes everywhere.
    let plain = Query::Pod { uid: UID.replace('-', "") };
    check(&machine.query(&plain), NamedBy::PodLogs, None, Some("web-0"), None);
}

#[test]
fn containers_are_named_by_their_runtimes_state() {
    let by = NamedBy::RuntimeState;
    let machine = Machine::new("containerd");
    machine.write(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        CONTAINERD_SPEC,
    );
    let known = machine.query(&container());
    check(&known, by, Some("containerd"), Some("web-0"), Some("nginx"));
    assert_eq!(known[0].pod_uid.as_deref(), Some(UID));

    let machine = Machine::new("cri-o");
    machine.write("run/containers/storage/overlay-containers/ID/userdata/config.json", CRI_O_SPEC);
    let list = format!(r#"[{{"id":"{ID}","names":["k8s_nginx_web-0_shop_0"]}}]"#);
    machine.write("var/lib/containers/storage/overlay-containers/containers.json", &list);
    check(&machine.query(&container()), by, Some("cri-o"), Some("web-0"), Some("nginx"));

    let machine = Machine::new("podman");
    let spec =
        r#"{"annotations":{"io.container.manager":"libpod","io.kubernetes.cri-o.TTY":"false"}}"#;
    machine.write("run/containers/storage/vfs-containers/ID/userdata/config.json", spec);
    let list = format!(r#"[{{"id":"0","names":["no"]}},{{"id":"{ID}","names":["web"]}}]"#);
    machine.write("var/lib/containers/storage/vfs-containers/containers.json", &list);
    check(&machine.query(&container()), by, Some("podman"), None, Some("web"));

    let machine = Machine::new("runc");
    machine.write("run/runc/ID/state.json", "{}");
    check(&machine.query(&container()), by, Some("runc"), None, None);
}

#[test]
fn docker_containers_are_named_by_dockers_configuration() {
    let machine = Machine::new("docker");
    let path = "var/lib/docker/containers/ID/config.v2.json";
    machine.write(path, r#"{"ID":"x","Name":"/web","Config":{"Labels":{}},"State":{"Pid":1}}"#);
    let known = machine.query(&container());
    check(&known, NamedBy::DockerConfig, Some("docker"), None, Some("web"));
    let labels = format!(
        r#"{{"Name":"/k8s_x","Config":{{"Labels":{{"io.kubernetes.pod.name":"web-0","io.kubernetes.pod.uid":"{UID}",
        "io.kubernetes.pod.namespace":"shop","io.kubernetes.container.name":"nginx"}}}}}}"#
    );
    machine.write(path, &labels);
    let of_pod = Query::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) };
    let known = machine.query(&of_pod);
    check(&known, NamedBy::DockerConfig, Some("docker"), Some("web-0"), Some("nginx"));
    // Images and users can set any labels, so those of a pod are ignored without its uid.
    let known = machine.query(&container());
    check(&known, NamedBy::DockerConfig, Some("docker"), None, Some("k8s_x"));
    machine.write(path, r#"{"Name":"/web","Config":{"Labels":null}}"#);
    check(&machine.query(&container()), NamedBy::DockerConfig, Some("docker"), None, Some("web"));
}

#[test]
fn an_unreadable_file_does_not_hide_other_files() {
    let spec = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
    for (what, content) in
        [("garbage", "\0\u{1}{{{"), ("number", "7"), ("types", r#"{"annotations":7}"#)]
    {
        let machine = Machine::new(what);
        machine.write(spec, content);
        machine.pod_logs("default_web-0_UID");
        let lookup = machine.lookup();
        assert_eq!(all_replies(&lookup, &container()), [], "{what}");
        check(&all_replies(&lookup, &pod()), NamedBy::PodLogs, None, Some("web-0"), None);
    }
    // One of several files is damaged.
    let machine = Machine::new("partly");
    machine.write(spec, &CONTAINERD_SPEC.replace("linux", "ignored"));
    machine.write("var/lib/containers/storage/overlay-containers/containers.json", "{{{");
    machine.write("var/lib/docker/containers/ID/config.v2.json", "");
    let by = NamedBy::RuntimeState;
    check(&machine.query(&container()), by, Some("containerd"), Some("web-0"), Some("nginx"));
    machine.write(spec, r#"{"annotations":null,"linux":null}"#);
    check(&machine.query(&container()), by, Some("containerd"), None, None);
    // A pipe without a writer, a directory, and a file that is too large.
    let machine = Machine::new("pipe");
    let path = machine.write(spec, "");
    fs::remove_file(&path).expect("the file exists");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe of our own");
    assert_eq!(machine.query(&container()), []);
    fs::remove_file(&path).expect("the file exists");
    fs::create_dir(&path).expect("a directory of our own");
    assert_eq!(machine.query(&container()), []);
    fs::remove_dir(&path).expect("the file exists");
    let large = format!(r#"{{"annotations":{{"a":"{}"}}}}"#, "x".repeat(5 << 20));
    fs::write(&path, large).expect("a file of our own");
    assert_eq!(machine.query(&container()), []);
    fs::write(&path, CONTAINERD_SPEC).expect("a file of our own");
    check(
        &machine.query(&container()),
        NamedBy::RuntimeState,
        Some("containerd"),
        Some("web-0"),
        Some("nginx"),
    );
}

#[test]
fn names_are_cut_to_the_longest_valid_length() {
    let machine = Machine::new("long");
    let spec = CONTAINERD_SPEC.replace("web-0", &"é".repeat(300));
    machine.write("run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", &spec);
    let known = machine.query(&container());
    assert_eq!(known[0].pod.as_deref(), Some(&*"é".repeat(126)));
}
