//! Whose failure a report is: the cgroup and the container of the task that asked for memory.
use fragwatch_core::{
    attribution::cgroup_path,
    model::{
        container::Container,
        event::{CgroupPath, OomScope},
        memcg::MemcgState,
        slab::SlabFailed,
    },
};

use crate::assemble::incident_builder::IncidentBuilder;

/// The cgroup of the task that asked for memory: a path where the report has one, else the last part
/// of its cpuset's. The one that is killed is in the same cgroup only if a memory cgroup ran out, or
/// if the last part is the same.
pub(super) fn cgroup(draft: &IncidentBuilder, scope: Option<&OomScope>) -> Option<String> {
    let oom = draft.oom.as_ref();
    let summary = oom.and_then(|oom| oom.summary.as_ref());
    let refused = draft.fork_refused.as_ref().and_then(|refused| refused.cgroup.clone());
    let cpuset = || {
        let of_header = draft.header.as_ref().and_then(|header| header.cpuset.clone());
        let of_summary = || summary.and_then(|summary| summary.cpuset.clone());
        let cpuset =
            of_header.or_else(|| Some(draft.cpuset.as_ref()?.0.clone())).or_else(of_summary);
        cpuset.filter(|cpuset| cpuset != "/")
    };
    let of_victim = summary
        .and_then(|summary| summary.task_memcg.as_deref())
        .or_else(|| oom?.task_memcg.as_deref());
    let cpuset = cpuset();
    let same = of_victim.is_some_and(|path| path.rsplit('/').next() == cpuset.as_deref());
    let shared = same || cpuset.is_none() && matches!(scope, Some(OomScope::Memcg(_)));
    let of_victim = of_victim.filter(|_| shared).map(str::to_owned);
    refused.or(of_victim).or(cpuset)
}

/// The container, by what programs say of it and by the cgroups that the kernel names.
pub(super) fn container(
    draft: &IncidentBuilder,
    cgroup: Option<&CgroupPath>,
    memcg: Option<&MemcgState>,
    slab_failures: &[SlabFailed],
) -> Option<Container> {
    let mut found = Container::default();
    for failure in &draft.containers {
        let set = |to: &mut Option<String>, from: &Option<String>| {
            if to.is_none() {
                to.clone_from(from);
            }
        };
        set(&mut found.id, &failure.container);
        set(&mut found.pod, &failure.pod);
        set(&mut found.namespace, &failure.namespace);
        set(&mut found.pod_uid, &failure.pod_uid);
    }
    let of_memcg = memcg.and_then(|memcg| memcg.path.as_deref()).map(CgroupPath::parse);
    let of_slab = slab_failures.iter().find_map(SlabFailed::memcg).map(CgroupPath::parse);
    for path in [cgroup.cloned(), of_memcg, of_slab].into_iter().flatten() {
        let Some(container) = cgroup_path::find(&path) else { continue };
        found.id = found.id.take().or_else(|| container.id.clone());
        if container.id.is_none() || found.id == container.id {
            found.runtime = found.runtime.take().or(container.runtime);
            found.pod_uid = found.pod_uid.take().or(container.pod_uid);
        }
    }
    (found != Container::default()).then_some(found)
}
