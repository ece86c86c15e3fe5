//! A cgroup's path, read while the cgroup surely exists.
use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_get_current_task};
use fragwatch_ebpf::{CgroupPath, table::ABSENT};

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
    let set = kernel::read_or_zero::<u64>(task, TASK_CGROUPS.load());
    let v2 = kernel::read_or_zero::<u64>(set, CSS_SET_DFL_CGRP.load());
    let css = kernel::read_or_zero::<u64>(set, CSS_SET_MEMORY.load());
    let memory = kernel::read_or_zero::<u64>(css, CSS_CGROUP.load());
    let root = |cgroup| kernel::read_or_zero::<u64>(cgroup, CGROUP_ROOT.load());
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
    let set = kernel::read_or_zero::<u64>(task, TASK_CGROUPS.load());
    kernel::read_or_zero(set, CSS_SET_MEMORY.load())
}

/// The memory cgroup that the current task charges instead of its own for a while
/// (`set_active_memcg`). NULL if there is none, as in kernels that have no such field.
#[inline(always)]
pub(crate) fn active_memcg() -> u64 {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    kernel::read_or_zero(task, TASK_ACTIVE_MEMCG.load())
}

/// Writes the path of a memory cgroup.
#[inline(always)]
pub(crate) fn record_memcg(memcg: u64, into: &mut CgroupPath) {
    record(kernel::read_or_zero::<u64>(memcg, MEMCG_CGROUP.load()), into);
}

/// Writes the path of a `struct cgroup`.
#[inline(always)]
fn record(cgroup: u64, into: &mut CgroupPath) {
    record_node(kernel::read_or_zero::<u64>(cgroup, CGROUP_KN.load()), into);
}

/// Writes the path of the cgroup that a controller's state belongs to.
#[inline(always)]
pub(crate) fn record_css(css: u64, into: &mut CgroupPath) {
    record(kernel::read_or_zero::<u64>(css, CSS_CGROUP.load()), into);
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
    let set = kernel::read_or_zero::<u64>(task, TASK_CGROUPS.load());
    if TASKS_ON_V1.load() == 0 {
        id(kernel::read_or_zero::<u64>(set, CSS_SET_DFL_CGRP.load()))
    } else {
        id_of_css(kernel::read_or_zero::<u64>(set, CSS_SET_MEMORY.load()))
    }
}

/// Id of the cgroup that a controller's state belongs to, 0 if it can't be read. Unlike the address it is not
/// used again when the cgroup is gone.
#[inline(always)]
pub(crate) fn id_of_css(css: u64) -> u64 {
    id(kernel::read_or_zero::<u64>(css, CSS_CGROUP.load()))
}

/// Id of a `struct cgroup`, 0 if it can't be read.
#[inline(always)]
fn id(cgroup: u64) -> u64 {
    let node = kernel::read_or_zero::<u64>(cgroup, CGROUP_KN.load());
    kernel::read_or_zero(node, KN_ID.load())
}

/// Writes the names from a `struct kernfs_node` up to the root, leaf first, as
/// `kernfs_path_from_node` would walk them.
#[inline(always)]
pub(crate) fn record_node(mut node: u64, into: &mut CgroupPath) {
    into.id = 0;
    into.depth = 0;
    into.truncated = 1;
    if node == 0 || KN_PARENT.load() == ABSENT {
        return;
    }
    into.id = kernel::read_or_zero(node, KN_ID.load());
    for name in &mut into.names {
        let (parent, unread) = parent(node);
        if parent == 0 {
            // The root has no name of its own.
            into.truncated = unread;
            return;
        }
        let text = kernel::read_or_zero::<u64>(node, KN_NAME.load());
        if kernel::read_str(name, text) < 0 {
            return;
        }
        into.depth += 1;
        node = parent;
    }
    // Deeper than we record; exactly as deep is a whole path too.
    let (parent, unread) = parent(node);
    if parent == 0 {
        into.truncated = unread;
    }
}

/// The parent of a `struct kernfs_node`, NULL for the root; and 1 if it can't be read, without a branch.
#[inline(always)]
fn parent(node: u64) -> (u64, u32) {
    let mut parent = 0u64;
    let error = kernel::read_into(&mut parent, node, KN_PARENT.load());
    (parent, (error.cast_unsigned() >> 63) as u32)
}
