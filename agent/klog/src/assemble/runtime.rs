//! Which failures of containers, and which of them and the kernel's reports, are the same.
use fragwatch_core::model::{
    frame::plain,
    program_message::{ContainerFailure, StartError},
};

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
pub(crate) fn same(one: &ContainerFailure, other: &ContainerFailure) -> bool {
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

/// What a report of the kernel's says of whose it is.
pub(crate) struct Report<'a> {
    /// The name of the task that failed.
    pub(crate) comm: Option<&'a str>,
    /// Whether a container of this id, or a pod of this uid, is named in it.
    pub(crate) names: &'a dyn Fn(&str) -> bool,
    /// Whether this function is in its stack.
    pub(crate) calls: &'a dyn Fn(&str) -> bool,
    /// It is about a refused fork.
    pub(crate) refuses_forks: bool,
    /// It is about slab caches that got no pages.
    pub(crate) of_slab: bool,
}

/// Whether a report names the container or the pod that failed.
pub(super) fn names_same(draft: &IncidentBuilder, failure: &ContainerFailure) -> bool {
    names(&|id| draft.names(id), failure)
}

fn names(named: &dyn Fn(&str) -> bool, failure: &ContainerFailure) -> bool {
    let container = failure.container.as_ref();
    let uid = failure.pod_uid.as_ref();
    !says_other_reason(failure)
        && (container.is_some_and(|id| named(id))
            || uid.is_some_and(|uid| named(uid) || named(&uid.replace('-', "_"))))
}

/// A program that says why has said it.
fn says_other_reason(failure: &ContainerFailure) -> bool {
    matches!(failure.error, StartError::Other(_) | StartError::OtherLimit(_))
}

/// Whether a container can have failed of what a report describes, given that they are close.
pub(super) fn joins(draft: &IncidentBuilder, failure: &ContainerFailure) -> bool {
    let report = Report {
        comm: draft.comm.as_deref(),
        names: &|id| draft.names(id),
        calls: &|function| draft.frames.iter().any(|frame| plain(&frame.function) == function),
        refuses_forks: draft.fork_refused.is_some(),
        of_slab: !draft.slab.is_empty(),
    };
    can_be_of(&report, failure)
}

/// The same for any report.
pub(crate) fn can_be_of(report: &Report, failure: &ContainerFailure) -> bool {
    if says_other_reason(failure) {
        return false;
    }
    if names(report.names, failure) {
        return true;
    }
    if report.refuses_forks && failure.error == StartError::Process {
        // One side names no container: the refusal is what it met.
        return failure.container.is_none() && failure.pod.is_none();
    }
    // A cache of a memory cgroup that could grow no more, and a memory cgroup that could not be made.
    let no_memory = failure.errno == Some(libc::ENOMEM);
    if no_memory && report.of_slab && matches!(failure.error, StartError::CgroupMkdir(_)) {
        return true;
    }
    let runtime =
        report.comm.is_some_and(|comm| RUNTIMES.iter().any(|name| comm.starts_with(name)));
    runtime || CREATORS.iter().any(|function| (report.calls)(function))
}
