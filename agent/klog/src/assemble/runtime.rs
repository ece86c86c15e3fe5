//! Which failures of containers, and which of them and the kernel's reports, are the same.
use fragwatch_core::model::program_message::{ContainerFailure, StartError};

use crate::assemble::incident_builder::IncidentBuilder;

/// Beginnings of the names of tasks that start containers (`exe`: runc, dockerd and containerd when
/// they start themselves again).
const RUNTIMES: &[&str] = &[
    "runc",
    "exe",
    "crun",
    "youki",
    "dockerd",
    "docker",
    "containerd",
    "conmon",
    "pinns",
    "podman",
    "crio",
    "kubelet",
    "lxc",
    "lxd",
    "incus",
    "unshare",
];

/// Functions that make namespaces and processes, and set up what a network namespace has.
const CREATORS: &[&str] = &[
    "copy_net_ns",
    "create_new_namespaces",
    "copy_namespaces",
    "unshare_nsproxy_namespaces",
    "veth_newlink",
    "cgroup_mkdir",
];

/// Whether two failures that were logged at about the same time are one: nothing that both name
/// differs.
pub(super) fn same(one: &ContainerFailure, other: &ContainerFailure) -> bool {
    let agree = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let paths = |failure: &ContainerFailure| match &failure.error {
        StartError::CgroupMkdir(path) => Some(path.clone()),
        _ => None,
    };
    agree(&one.container, &other.container)
        && agree(&one.pod, &other.pod)
        && agree(&one.pod_uid, &other.pod_uid)
        && agree(&paths(one), &paths(other))
}

/// Adds what another line says of the same failure.
pub(super) fn merge(known: &mut ContainerFailure, other: ContainerFailure) {
    known.container = known.container.take().or(other.container);
    known.pod = known.pod.take().or(other.pod);
    known.namespace = known.namespace.take().or(other.namespace);
    known.pod_uid = known.pod_uid.take().or(other.pod_uid);
    // Of two lines of which one says ENOMEM the other's reason leaves memory open.
    let open = other.errno == Some(libc::ENOMEM) && matches!(known.error, StartError::Other(_));
    known.errno = if open { other.errno } else { known.errno.or(other.errno) };
    let lacks_memory = known.errno == Some(libc::ENOMEM);
    if open || known.error == StartError::Unsaid {
        let explains = !(lacks_memory && matches!(other.error, StartError::Other(_)));
        known.error = if explains { other.error } else { StartError::Unsaid };
    }
}

/// Whether a report names the container or the pod that failed.
pub(super) fn names_same(draft: &IncidentBuilder, failure: &ContainerFailure) -> bool {
    let container = failure.container.as_ref();
    let uid = failure.pod_uid.as_ref();
    !says_other_reason(failure)
        && (container.is_some_and(|id| draft.names(id))
            || uid.is_some_and(|uid| draft.names(uid) || draft.names(&uid.replace('-', "_"))))
}

/// A program that says why has said it.
fn says_other_reason(failure: &ContainerFailure) -> bool {
    matches!(failure.error, StartError::Other(_) | StartError::OtherLimit(_))
}

/// Whether a container can have failed of what a report describes, given that they are close.
pub(super) fn joins(draft: &IncidentBuilder, failure: &ContainerFailure) -> bool {
    if says_other_reason(failure) {
        return false;
    }
    if names_same(draft, failure) {
        return true;
    }
    if draft.fork_refused.is_some() && failure.error == StartError::Process {
        // One side names no container: the refusal is what it met.
        return failure.container.is_none() && failure.pod.is_none();
    }
    // A cache of a memory cgroup that could grow no more, and a memory cgroup that could not be made.
    let no_memory = failure.errno == Some(libc::ENOMEM);
    if no_memory && !draft.slab.is_empty() && matches!(failure.error, StartError::CgroupMkdir(_)) {
        return true;
    }
    let runtime = draft
        .comm
        .as_deref()
        .is_some_and(|comm| RUNTIMES.iter().any(|name| comm.starts_with(name)));
    let creates = draft.frames.iter().any(|frame| CREATORS.contains(&frame.function.as_str()));
    runtime || creates
}
