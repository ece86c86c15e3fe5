//! The container that a creation is for: the one whose cgroup it was made in, or candidates if a runtime
//! made it from outside.
use crate::{
    attribution::{cgroup_path, cgroups::Cgroups},
    model::{
        container::{Candidate, CandidateReason, Container, is_id},
        event::CgroupPath,
        identity::Query,
        step::CreationStep,
    },
};

/// Prefix of the comm of runc's processes inside a container until they execute the container's program
/// (libcontainer/nsenter/nsexec.c).
pub(crate) const RUNC_INIT: &str = "runc:[";
/// comm of programs that start containers. They make other creations too.
const RUNTIMES: &[&str] = &[
    "runc",
    "crun",
    "youki",
    "podman",
    "buildah",
    "conmon",
    "pinns",
    "containerd-shim",
    "containerd",
    "dockerd",
    "cri-dockerd",
    "buildkitd",
    "crio",
    "lxc-start",
    "systemd-nspawn",
];
/// Programs that create a pod's network namespace before its first container.
const MAKE_FOR_PODS: &[&str] = &["containerd", "pinns", "crio", "dockerd", "cri-dockerd"];
/// comm of CNI plug-ins, those of the project itself and widespread others. A runtime runs them for a pod's
/// network, before its first container.
const NETWORK_PLUGINS: &[&str] = &[
    "bandwidth",
    "bridge",
    "dhcp",
    "dummy",
    "firewall",
    "host-device",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "sbr",
    "static",
    "tap",
    "tuning",
    "vlan",
    "vrf",
    "antrea",
    "aws-cni",
    "azure-vnet",
    "calico",
    "calico-ipam",
    "cilium-cni",
    "flannel",
    "kube-ovn",
    "kube-router",
    "multus",
    "multus-shim",
    "netavark",
    "ovn-k8s-cni-ove",
    "weave-net",
];
/// Programs whose log or state shows what they were starting.
const KEEP_RECORDS: &[&str] = &["containerd", "pinns", "crio", "podman"];

/// Longest time between creating a container's cgroup and a later step of the same start, in
/// nanoseconds.
const START_NS: u64 = 10_000_000_000;
/// Candidates that are reported.
pub const MAX_CANDIDATES: usize = 5;

/// Whether a program with this comm starts containers.
pub(crate) fn is_runtime(comm: &str) -> bool {
    RUNTIMES.contains(&comm)
}

/// Whether a program with this comm sets up the network of a pod or container.
pub(crate) fn is_network_plugin(comm: &str) -> bool {
    // What is longer is cut in a comm.
    NETWORK_PLUGINS.iter().any(|name| name.get(..15).unwrap_or(name) == comm)
}

/// The container that a creation is for, if that is certain: the one whose cgroup it was made in, unless
/// by a runtime, which may run in a container itself and start others.
pub(crate) fn certain(creation: &CreationStep) -> Option<Container> {
    // When a cgroup is created, its path identifies the container, even if a runtime creates it.
    let starts_others = is_runtime(&creation.task.comm) || is_network_plugin(&creation.task.comm);
    if starts_others && creation.cgroup_setup().is_none() {
        return None;
    }
    cgroup_path::find(creation.cgroup.as_ref()?)
}

/// Containers that a creation by a runtime may be for, the most likely first.
pub(crate) fn candidates(creation: &CreationStep, cgroups: &Cgroups) -> Vec<Candidate> {
    let comm = creation.task.comm.as_str();
    let is_plugin = is_network_plugin(comm);
    if !is_runtime(comm) && !is_plugin {
        return Vec::new();
    }
    let candidate = |path: &CgroupPath, why| {
        cgroup_path::find(path).map(|container| Candidate { container, why })
    };
    let since = creation.began_ns.saturating_sub(START_NS);
    if let Some(path) = cgroups.container_made_by(creation.task.pid, since) {
        return candidate(&path, CandidateReason::MadeItsCgroup).into_iter().collect();
    }
    if !MAKE_FOR_PODS.contains(&comm) && !is_plugin {
        return Vec::new();
    }
    let pods = cgroups.pods_without_container().into_iter().take(MAX_CANDIDATES).enumerate();
    pods.filter_map(|(at, (path, made))| {
        let newest = at == 0 && made.is_some();
        candidate(&path, if newest { CandidateReason::NewestPod } else { CandidateReason::FreePod })
    })
    .collect()
}

/// The query about a creation whose cgroup does not identify the container. `realtime_offset_ns` is
/// `CLOCK_REALTIME` minus `CLOCK_MONOTONIC`.
pub(crate) fn query(creation: &CreationStep, realtime_offset_ns: i64) -> Option<Query> {
    let millis =
        |at_ns: u64| at_ns.cast_signed().saturating_add(realtime_offset_ns).div_euclid(1_000_000);
    let comm = &creation.task.comm;
    if creation.container.is_some() || !is_runtime(comm) {
        return None;
    }
    match creation.namespaces().and_then(|made| made.netns) {
        Some(inode) => Some(Query::Netns { inode, made_ms: millis(creation.ended_ns) }),
        None if KEEP_RECORDS.contains(&comm.as_str()) => {
            Some(Query::Starting { comm: comm.clone(), at_ms: millis(creation.ended_ns) })
        }
        None => None,
    }
}

/// Whether two are the same container or pod, by the fields that both have.
pub(crate) fn same(one: &Container, other: &Container) -> bool {
    let both = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    both(&one.id, &other.id) && one.id.as_deref().is_some_and(is_id)
        || both(&one.pod_uid, &other.pod_uid)
        || both(&one.pod, &other.pod) && one.namespace == other.namespace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::step::{Namespaces, StepKind};
    use crate::{attribution::cgroups::Made, fixtures::failed_creation};

    const POD: &str = "/kubepods/burstable/pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
    const SECOND: u64 = 1_000_000_000;

    fn by(comm: &str, cgroup: &str) -> CreationStep {
        let mut creation = failed_creation();
        creation.task.comm = comm.to_owned();
        creation.cgroup = Some(CgroupPath::parse(cgroup));
        creation.began_ns = 20 * SECOND;
        creation.container = certain(&creation);
        creation
    }

    fn with_pods() -> Cgroups {
        let mut cgroups = Cgroups::default();
        let made = |at_ns| Some(Made { at_ns, pid: 1 });
        cgroups.insert(1, &CgroupPath::parse(&POD.replace("6f1c", "0001")), made(SECOND));
        cgroups.insert(2, &CgroupPath::parse(POD), made(19 * SECOND));
        cgroups
    }

    #[test]
    fn a_process_in_a_containers_cgroup_belongs_to_the_container() {
        let path = format!("{POD}/{}", "ab".repeat(32));
        assert_eq!(certain(&by("runc:[1:CHILD]", &path)).and_then(|c| c.id), Some("ab".repeat(32)));
        assert_eq!(certain(&by("runc:[1:CHILD]", "/system.slice/cron.service")), None);
        // The node is a container itself, and its runtime starts others.
        assert_eq!(certain(&by("containerd", &path)), None);
        assert_eq!(candidates(&by("sh", &path), &with_pods()), []);
    }

    #[test]
    fn the_newest_pod_without_a_container_is_a_daemons_first_candidate() {
        let found = candidates(&by("containerd", "/system.slice/containerd.service"), &with_pods());
        let uids: Vec<&str> = found.iter().filter_map(|c| c.container.pod_uid.as_deref()).collect();
        assert_eq!(uids.len(), 2);
        assert!(uids[0].starts_with("6f1c") && uids[1].starts_with("0001"), "{uids:?}");
        assert!(
            found[0].why == CandidateReason::NewestPod && found[1].why == CandidateReason::FreePod
        );
        let none = candidates(&by("containerd", "/system.slice"), &Cgroups::default());
        assert_eq!(none, []);
        // podman does not start the kubelet's pods.
        assert_eq!(candidates(&by("podman", "/user.slice"), &with_pods()), []);
    }

    #[test]
    fn the_process_that_created_a_containers_cgroup_starts_that_container() {
        let mut cgroups = with_pods();
        let creation = by("crun", "/user.slice");
        let path = format!("/machine.slice/libpod-{}.scope", "cd".repeat(32));
        let made = Made { at_ns: 15 * SECOND, pid: creation.task.pid };
        cgroups.insert(9, &CgroupPath::parse(&path), Some(made));
        let found = candidates(&creation, &cgroups);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].container.runtime.as_deref(), Some("podman"));
        let later = CreationStep { began_ns: 60 * SECOND, ..creation };
        assert_eq!(candidates(&later, &cgroups), [], "the start ended long before");
    }

    #[test]
    fn a_creation_by_a_runtime_is_looked_up_in_its_records() {
        let mut creation = by("containerd", "/system.slice/containerd.service");
        creation.ended_ns = 21 * SECOND;
        let comm = "containerd".to_owned();
        assert_eq!(query(&creation, 5_000_000), Some(Query::Starting { comm, at_ms: 21_005 }));
        creation.kind =
            StepKind::Namespaces(Namespaces { netns: Some(7), ..Namespaces::default() });
        assert_eq!(query(&creation, 0), Some(Query::Netns { inode: 7, made_ms: 21_000 }));
        creation.task.comm = "unshare".to_owned();
        assert_eq!(query(&creation, 0), None);
    }
}
