//! A cgroup's path, read while the cgroup surely exists.
use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_get_current_task};
use fragwatch_ebpf::CgroupPath;

use crate::kernel::{
    self, CGROUP_KN, CGROUP_ROOT, CSS_CGROUP, CSS_SET_DFL_CGRP, CSS_SET_MEMORY, KN_ID, KN_NAME,
    KN_PARENT, MEMCG_CGROUP, TASK_ACTIVE_MEMCG, TASK_CGROUPS, TASKS_ON_V1,
};

/// The current task's cgroups: the v2 one, and the memory controller's where that has a hierarchy of
/// its own, else NULL.
#[inline(always)]
fn current() -> (u64, u64) {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    let set = kernel::read::<u64>(task, TASK_CGROUPS.load()).unwrap_or(0);
    let v2 = kernel::read::<u64>(set, CSS_SET_DFL_CGRP.load()).unwrap_or(0);
    let memory = kernel::read::<u64>(set, CSS_SET_MEMORY.load())
        .and_then(|css| kernel::read::<u64>(css, CSS_CGROUP.load()))
        .unwrap_or(0);
    let root = |cgroup| kernel::read::<u64>(cgroup, CGROUP_ROOT.load()).unwrap_or(0);
    // On v2 a cgroup without the memory controller is charged to an ancestor, which is not its
    // name.
    let own_hierarchy = memory != 0 && root(memory) != root(v2);
    (v2, if own_hierarchy { memory } else { 0 })
}

/// Whether the memory controller has a hierarchy of its own.
#[inline(always)]
pub(crate) fn memory_is_on_v1() -> bool {
    current().1 != 0
}

/// Writes the path of the current task's cgroup: the memory controller's where that has a
/// hierarchy of its own, else the v2 one's.
#[inline(always)]
pub(crate) fn record_current(into: &mut CgroupPath) {
    let (v2, memory) = current();
    record(if memory == 0 { v2 } else { memory }, into);
}

/// The current task's memory cgroup: `struct mem_cgroup` begins with its css. NULL if it can't be
/// read.
#[inline(always)]
pub(crate) fn current_memcg() -> u64 {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    kernel::read::<u64>(task, TASK_CGROUPS.load())
        .and_then(|set| kernel::read::<u64>(set, CSS_SET_MEMORY.load()))
        .unwrap_or(0)
}

/// The memory cgroup that the current task charges instead of its own for a while
/// (`set_active_memcg`). NULL if there is none, as in kernels that have no such field.
#[inline(always)]
pub(crate) fn active_memcg() -> u64 {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    kernel::read(task, TASK_ACTIVE_MEMCG.load()).unwrap_or(0)
}

/// Writes the path of a memory cgroup.
#[inline(always)]
pub(crate) fn record_memcg(memcg: u64, into: &mut CgroupPath) {
    record(kernel::read::<u64>(memcg, MEMCG_CGROUP.load()).unwrap_or(0), into);
}

/// Writes the path of a `struct cgroup`.
#[inline(always)]
fn record(cgroup: u64, into: &mut CgroupPath) {
    record_node(kernel::read::<u64>(cgroup, CGROUP_KN.load()).unwrap_or(0), into);
}

/// Writes the path of the cgroup that a controller's state belongs to.
#[inline(always)]
pub(crate) fn record_css(css: u64, into: &mut CgroupPath) {
    record(kernel::read::<u64>(css, CSS_CGROUP.load()).unwrap_or(0), into);
}

/// Id of the current task's cgroup in the tasks' hierarchy, 0 if it can't be read.
#[inline(always)]
pub(crate) fn current_id() -> u64 {
    if TASKS_ON_V1.load() == 0 {
        // SAFETY: the helper takes nothing and can't fail.
        return unsafe { bpf_get_current_cgroup_id() };
    }
    // SAFETY: the helper takes nothing and returns the current task's address.
    id_of(unsafe { bpf_get_current_task() })
}

/// Id of a task's cgroup in the tasks' hierarchy, 0 if it can't be read.
#[inline(always)]
pub(crate) fn id_of(task: u64) -> u64 {
    let set = kernel::read::<u64>(task, TASK_CGROUPS.load()).unwrap_or(0);
    let cgroup = if TASKS_ON_V1.load() == 0 {
        kernel::read::<u64>(set, CSS_SET_DFL_CGRP.load())
    } else {
        kernel::read::<u64>(set, CSS_SET_MEMORY.load())
            .and_then(|css| kernel::read::<u64>(css, CSS_CGROUP.load()))
    };
    cgroup
        .and_then(|cgroup| kernel::read::<u64>(cgroup, CGROUP_KN.load()))
        .and_then(|node| kernel::read(node, KN_ID.load()))
        .unwrap_or(0)
}

/// Writes the names from a `struct kernfs_node` up to the root, leaf first, as
/// `kernfs_path_from_node` would walk them.
#[inline(always)]
pub(crate) fn record_node(mut node: u64, into: &mut CgroupPath) {
    into.id = 0;
    into.depth = 0;
    into.truncated = 1;
    if node == 0 {
        return;
    }
    into.id = kernel::read(node, KN_ID.load()).unwrap_or(0);
    for name in &mut into.names {
        let Some(parent) = kernel::read::<u64>(node, KN_PARENT.load()) else { return };
        if parent == 0 {
            // The root has no name of its own.
            into.truncated = 0;
            return;
        }
        let Some(text) = kernel::read::<u64>(node, KN_NAME.load()) else { return };
        if kernel::read_str(name, text) < 0 {
            return;
        }
        into.depth += 1;
        node = parent;
    }
    // Deeper than we record; exactly as deep is a whole path too.
    if kernel::read::<u64>(node, KN_PARENT.load()) == Some(0) {
        into.truncated = 0;
    }
}
