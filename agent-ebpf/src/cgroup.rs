//! The current task's cgroup path, read while the cgroup surely exists.
use aya_ebpf::helpers::generated::bpf_get_current_task;
use fragwatch_ebpf::NetnsSetupBegan;

use crate::kernel::{self, CGROUP_KN, CSS_SET_DFL_CGRP, KN_NAME, KN_PARENT, TASK_CGROUPS};

/// Writes the names from the task's v2 cgroup up to the root, leaf first, as
/// `kernfs_path_from_node` would walk them.
#[inline(always)]
pub(crate) fn record(into: &mut NetnsSetupBegan) {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    into.depth = 0;
    into.truncated = 1;
    let Some(mut node) = kernel::read::<u64>(task, TASK_CGROUPS.load())
        .and_then(|set| kernel::read::<u64>(set, CSS_SET_DFL_CGRP.load()))
        .and_then(|cgroup| kernel::read::<u64>(cgroup, CGROUP_KN.load()))
    else {
        return;
    };
    for name in &mut into.cgroup {
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
