//! Why a 3.10 kernel needs a large block for a new slab cache: it allocates an array with room for
//! every memory cgroup id in use that accounts kernel memory, 8 bytes each
//! (mm/memcontrol.c `memcg_register_cache`, `memcg_caches_array_size`, up to 3.18). The array's room
//! doubles when it is full, so it is at least a quarter full of ids that are alive or leaked.
use crate::{
    diagnose::Evidence,
    model::{allocation::Allocation, verdict::Remedy},
};

/// What keeps the array small.
pub(super) const REMEDIES: &[Remedy] = &[Remedy {
    title: "stop the growth of memory cgroups that account kernel memory: count them, then turn the accounting off or update the kernel",
    command: "grep memory /proc/cgroups; ls /sys/kernel/slab | wc -l; grubby --update-kernel=ALL --args=cgroup.memory=nokmem",
    risk: "needs a reboot; without the accounting no limit on kernel memory holds; older 3.10 kernels don't know the parameter",
    durable: true,
}];

/// Entries of the array in a block of `order`: pages of 4096 bytes, 8 bytes an entry.
fn room(order: u32) -> u64 {
    512u64.checked_shl(order).unwrap_or(u64::MAX)
}

/// What made the allocation so large, if this did.
pub(super) fn behind(evidence: &Evidence, allocation: &Allocation) -> Option<String> {
    let stack =
        allocation.failure.as_ref().map(|failure| failure.stack.as_slice()).unwrap_or_default();
    let asked = |name: &str| stack.iter().any(|frame| frame.function.as_deref() == Some(name));
    let old = evidence.kernel.is_some_and(|kernel| kernel.series() == (3, 10));
    let cache_refused = evidence.slab_caches.iter().any(|cache| cache.failed);
    let seen = asked("memcg_register_cache") || asked("memcg_update_cache_size");
    if !(seen || old && cache_refused) || allocation.order < 3 {
        return None;
    }
    let (most, least) = (room(allocation.order), room(allocation.order) / 2);
    let alive = most / 4;
    let behind = if seen { "behind it is" } else { "behind its size is most likely" };
    Some(format!(
        "{behind} the growth of memory cgroup ids: for each new slab cache this kernel allocates 8 \
         bytes per id that it has room for, and order {} means room for {least} to {most}, so at least \
         {alive} cgroups with kernel memory, alive or leaked",
        allocation.order
    ))
}
