//! Which container something was done for: the container whose cgroup it was done in, or, where a runtime did it
//! from outside, those that it may have been for.
use crate::{
    attribution::{cgroup_path, cgroups::Cgroups},
    model::{
        container::{Candidate, CandidateReason, Container, is_id},
        event::CgroupPath,
        identity::Query,
        step::CreationStep,
    },
};

/// What runc calls its processes inside a container until they become the container's own program
/// (libcontainer/nsenter/nsexec.c).
pub(crate) const RUNC_INIT: &str = "runc:[";
/// Attributions of programs that start containers. They do other things too.
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
/// Those that make a pod's network namespace before there is any container in it.
const MAKE_FOR_PODS: &[&str] = &["containerd", "pinns", "crio", "dockerd", "cri-dockerd"];
/// Those whose records say what they were starting.
const KEEP_RECORDS: &[&str] = &["containerd", "pinns", "crio", "podman"];

/// A container's start is over after this time.
const START_NS: u64 = 10_000_000_000;
/// Candidates that are reported.
pub const MAX_CANDIDATES: usize = 5;

/// Whether a program of this name starts containers.
pub(crate) fn is_runtime(comm: &str) -> bool {
    RUNTIMES.contains(&comm)
}

/// The container that a creation is for, if that is certain: the cgroup is a container's, and what
/// happened in it was not done by a runtime that runs in a container itself and starts others.
pub(crate) fn certain(creation: &CreationStep) -> Option<Container> {
    // A cgroup's making is known by its path, whatever process makes it.
    if is_runtime(&creation.task.comm) && creation.cgroup_setup().is_none() {
        return None;
    }
    cgroup_path::find(creation.cgroup.as_ref()?)
}

/// Those that a creation may be for, none of them certain, the likeliest first.
pub(crate) fn candidates(creation: &CreationStep, cgroups: &Cgroups) -> Vec<Candidate> {
    let comm = creation.task.comm.as_str();
    if !is_runtime(comm) {
        return Vec::new();
    }
    let candidate = |path: &CgroupPath, why| {
        cgroup_path::find(path).map(|container| Candidate { container, why })
    };
    let since = creation.began_ns.saturating_sub(START_NS);
    if let Some(path) = cgroups.container_made_by(creation.task.pid, since) {
        return candidate(&path, CandidateReason::MadeItsCgroup).into_iter().collect();
    }
    if !MAKE_FOR_PODS.contains(&comm) {
        return Vec::new();
    }
    let pods = cgroups.pods_without_container().into_iter().take(MAX_CANDIDATES).enumerate();
    pods.filter_map(|(at, (path, made))| {
        let newest = at == 0 && made.is_some();
        let why = if newest { CandidateReason::NewestPod } else { CandidateReason::FreePod };
        candidate(&path, why)
    })
    .collect()
}

/// What can be looked up about a creation's container that its cgroup doesn't show; `realtime_offset_ns` is how far the
/// time of day is ahead of `CLOCK_MONOTONIC`.
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

/// Whether two are one, as far as both are known.
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
    fn process_in_a_container_cgroup_belongs_to_the_container() {
        let path = format!("{POD}/{}", "ab".repeat(32));
        assert_eq!(certain(&by("runc:[1:CHILD]", &path)).and_then(|c| c.id), Some("ab".repeat(32)));
        assert_eq!(certain(&by("runc:[1:CHILD]", "/system.slice/cron.service")), None);
        // A node that is a container itself: what its runtime makes is for another.
        assert_eq!(certain(&by("containerd", &path)), None);
        assert_eq!(candidates(&by("sh", &path), &with_pods()), []);
    }

    #[test]
    fn netns_by_a_daemon_has_the_newest_pod_as_candidate() {
        let found = candidates(&by("containerd", "/system.slice/containerd.service"), &with_pods());
        let uids: Vec<&str> = found.iter().filter_map(|c| c.container.pod_uid.as_deref()).collect();
        assert_eq!(uids.len(), 2);
        assert!(uids[0].starts_with("6f1c") && uids[1].starts_with("0001"), "{uids:?}");
        assert!(
            found[0].why == CandidateReason::NewestPod && found[1].why == CandidateReason::FreePod
        );
        let none = candidates(&by("containerd", "/system.slice"), &Cgroups::default());
        assert_eq!(none, []);
        // podman has nothing to do with pods of the kubelet's.
        assert_eq!(candidates(&by("podman", "/user.slice"), &with_pods()), []);
    }

    #[test]
    fn process_that_made_a_cgroup_has_that_container_as_candidate() {
        let mut cgroups = with_pods();
        let creation = by("crun", "/user.slice");
        let path = format!("/machine.slice/libpod-{}.scope", "cd".repeat(32));
        let made = Made { at_ns: 15 * SECOND, pid: creation.task.pid };
        cgroups.insert(9, &CgroupPath::parse(&path), Some(made));
        let found = candidates(&creation, &cgroups);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].container.runtime.as_deref(), Some("podman"));
        let later = CreationStep { began_ns: 60 * SECOND, ..creation };
        assert_eq!(candidates(&later, &cgroups), [], "its start is long over");
    }

    #[test]
    fn runtime_records_are_queried_for_steps_outside_containers() {
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
