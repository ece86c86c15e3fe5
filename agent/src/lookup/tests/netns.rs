//! Owners of network namespaces, from the runtimes' records.
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant, SystemTime},
};

use fragwatch_core::model::identity::{Identity, NamedBy, Query};

use crate::lookup::{
    runtime_state,
    tests::{DEADLINE, ID, Machine, check, now_ms},
};

fn with_namespace(path: &str, annotations: &str) -> String {
    format!(
        r#"{{"annotations":{{{annotations}}},"linux":{{"namespaces":[{{"type":"network","path":"{path}"}}]}}}}"#
    )
}

#[test]
fn the_owner_is_found_among_ten_thousand_containers_once_it_is_recorded() {
    let machine = Machine::new("netns");
    let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
    let old = SystemTime::now() - Duration::from_hours(1);
    for number in 0..10_000 {
        let directory = machine.0.join(format!("{tasks}/{number:064x}"));
        fs::create_dir_all(&directory).expect("it can be made");
        fs::File::open(&directory).and_then(|d| d.set_modified(old)).expect("it is ours");
    }
    // An old record of the same namespace, which must not be read.
    let early = machine
        .write(&format!("{tasks}/{:064x}/config.json", 5), &with_namespace("/run/netns/cni-1", ""));
    let directory = early.parent().expect("it is in one");
    fs::File::open(directory).and_then(|d| d.set_modified(old)).expect("it is ours");
    let bound = machine.write("run/netns/cni-1", "");
    let inode = u32::try_from(bound.metadata().expect("it was made").ino()).expect("a small one");
    let lookup = machine.lookup();
    let query = Query::Netns { inode, made_ms: now_ms() };
    lookup.query(query.clone());
    let first = lookup.wait_for_reply(Instant::now() + DEADLINE).expect("a reply arrives in time");
    assert_eq!((first.identities, first.last), (Vec::new(), false), "there is no record yet");
    let sandbox = r#""io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop""#;
    machine.write(&format!("{tasks}/ID/config.json"), &with_namespace("/run/netns/cni-1", sandbox));
    let last = lookup.wait_for_reply(Instant::now() + DEADLINE).expect("a reply arrives in time");
    assert!(last.last);
    assert_eq!(last.query, query);
    check(&last.identities, NamedBy::RuntimeState, Some("containerd"), Some("web-0"), None);
    assert_eq!(last.identities[0].id.as_deref(), Some(ID));
}

fn owner(machine: &Machine, inode: u32, created_ms: i64) -> Option<Identity> {
    let (owners, error) = runtime_state::netns_owners(&machine.0, now_ms());
    assert!(error.is_none(), "{error:?}");
    owners.find(inode, created_ms).cloned()
}

#[test]
fn a_shared_or_reused_namespace_has_no_owner() {
    let machine = Machine::new("shared");
    let bound = machine.write("run/netns/netns-1", "");
    let inode = u32::try_from(bound.metadata().expect("it was made").ino()).expect("a small one");
    let containers = "run/containers/storage/overlay-containers";
    let spec = with_namespace("/run/netns/netns-1", "");
    machine.write(&format!("{containers}/ID/userdata/config.json"), &spec);
    assert_eq!(owner(&machine, inode, now_ms()).and_then(|k| k.id).as_deref(), Some(ID));
    // The kernel reuses the inode number for another namespace.
    assert_eq!(owner(&machine, inode, now_ms() - 60_000), None);
    // A second container joined it; the records do not show which one created it.
    machine.write(&format!("{containers}/{}/userdata/config.json", "7".repeat(64)), &spec);
    assert_eq!(owner(&machine, inode, now_ms()), None);
    // A pod's sandbox is the owner, but only annotations of a CRI runtime are trusted.
    let sandbox = r#""io.kubernetes.cri.container-type":"sandbox""#;
    let spec = with_namespace("/run/netns/netns-1", sandbox);
    machine.write("run/containerd/io.containerd.runtime.v2.task/default/ID/config.json", &spec);
    assert_eq!(owner(&machine, inode, now_ms()), None);
    machine.write("run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json", &spec);
    let found = owner(&machine, inode, now_ms()).expect("the sandbox");
    assert_eq!(found.runtime.as_deref(), Some("containerd"));
}

#[test]
fn a_namespace_path_outside_the_allowed_directories_is_ignored() {
    let machine = Machine::new("paths");
    let secret = machine.write("etc/secret", "");
    let inode = u32::try_from(secret.metadata().expect("it was made").ino()).expect("a small one");
    let spec = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
    machine.write("run/netns/cni-1", "");
    let found = |path: &str| {
        machine.write(spec, &with_namespace(path, ""));
        owner(&machine, inode, now_ms())
    };
    for path in ["/run/netns/../../etc/secret", "/etc/secret", "etc/secret", "", "/proc/1/ns/net"] {
        assert_eq!(found(path), None, "{path}");
    }
    fs::hard_link(&secret, machine.0.join("run/netns/cni-2")).expect("a file of our own");
    assert!(found("/run/netns/cni-2").is_some(), "the same inode at an allowed path is found");
}
