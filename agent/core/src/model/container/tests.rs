//! Names that are added to a container, and its label.
use super::*;
use crate::{attribution::cgroup_path, model::event::CgroupPath};

const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
const UID: &str = "6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";

fn by_path() -> Container {
    let path = format!("/kubepods/burstable/pod{UID}/{ID}");
    cgroup_path::find(&CgroupPath::parse(&path)).expect("a container's path")
}

fn known(by: NamedBy) -> Identity {
    Identity { by, runtime: None, id: None, pod_uid: None, pod: None, namespace: None, name: None }
}

fn named() -> Identity {
    Identity {
        pod_uid: Some(UID.to_owned()),
        pod: Some("web-0".to_owned()),
        namespace: Some("default".to_owned()),
        ..known(NamedBy::PodLogs)
    }
}

#[test]
fn names_are_added_with_their_source() {
    let mut container = by_path();
    assert!(container.learn(&named()));
    let state = Identity {
        runtime: Some("containerd".to_owned()),
        name: Some("nginx".to_owned()),
        ..known(NamedBy::RuntimeState)
    };
    assert!(container.learn(&state));
    let names = (container.namespace.as_deref(), container.pod.as_deref());
    assert_eq!(names, (Some("default"), Some("web-0")));
    assert_eq!(container.named_by, Some(NamedBy::PodLogs), "the source of the pod's name");
    assert_eq!(container.runtime.as_deref(), Some("containerd"));
    assert_eq!(container.name.as_deref(), Some("nginx"));
}

#[test]
fn names_of_another_pod_or_container_are_ignored() {
    let other = Some("0bad0bad-4a5b-4c6d-8e9f-0a1b2c3d4e5f".to_owned());
    for wrong in
        [Identity { pod_uid: other, ..named() }, Identity { id: Some("0".repeat(64)), ..named() }]
    {
        let mut container = by_path();
        assert!(!container.learn(&wrong));
        assert_eq!(container, by_path());
    }
    // Some sources write a static pod's uid with dashes.
    let mut container = by_path();
    assert!(container.learn(&Identity { pod_uid: Some(UID.replace('-', "")), ..named() }));
}

#[test]
fn only_hexadecimal_ids_are_queried() {
    let query = by_path().query();
    assert_eq!(query, Some(Query::Container { id: ID.to_owned(), pod_uid: Some(UID.to_owned()) }));
    let lxc = cgroup_path::find(&CgroupPath::parse("/lxc.payload.web")).expect("LXC's path");
    assert_eq!(lxc.query(), None);
    let pod = Container { pod_uid: Some(UID.to_owned()), ..Container::default() };
    assert_eq!(pod.query(), Some(Query::Pod { uid: UID.to_owned() }));
}

#[test]
fn rootless_containers_are_not_queried() {
    let rootless =
        format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope");
    let container = cgroup_path::find(&CgroupPath::parse(&rootless)).expect("a container's path");
    assert_eq!((container.runtime.as_deref(), container.id.as_deref()), (Some("podman"), Some(ID)));
    assert_eq!(container.query(), None);
}
