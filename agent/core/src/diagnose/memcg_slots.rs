//! Why a 3.10 kernel needs a large block for a new slab cache: it allocates an array with room for
//! every memory cgroup id in use that accounts kernel memory, 8 bytes each
//! (mm/memcontrol.c `memcg_register_cache`, `memcg_caches_array_size`, 3.8 to 3.18). The array's room
//! doubles when it is full, so it is at least a quarter full of ids that are alive or leaked.
use crate::{
    diagnose::{Evidence, kernel_accounting},
    model::{allocation::Allocation, kernel_version::KernelVersion, verdict::Remedy},
};

const COUNT: Remedy = Remedy {
    title: "count the memory cgroups that account kernel memory, alive and leaked",
    command: "grep memory /proc/cgroups; ls /sys/kernel/slab | wc -l",
    risk: "none",
    durable: false,
};

/// What keeps the array small on this kernel.
pub(super) fn remedies(evidence: &Evidence) -> [Remedy; 2] {
    [COUNT, kernel_accounting::turn_off(evidence)]
}

/// Entries of the array in a block of `order`: pages of 4096 bytes, 8 bytes an entry.
fn room(order: u32) -> u64 {
    512u64.checked_shl(order).unwrap_or(u64::MAX)
}

/// What made the allocation so large, if this did.
pub(super) fn behind(evidence: &Evidence, allocation: &Allocation) -> Option<String> {
    let stack =
        allocation.failure.as_ref().map(|failure| failure.stack.as_slice()).unwrap_or_default();
    let asked =
        |names: &[&str]| stack.iter().any(|frame| names.iter().any(|name| frame.is_in(name)));
    let series = evidence.kernel.map(KernelVersion::series);
    let refused = evidence.slab_caches.iter().any(|cache| cache.failed);
    let seen = asked(ARRAY_OF_CACHE);
    let creates = refused || asked(CREATES_CACHE);
    // No more is known than that a container's start asked for it, as an old kernel does that
    // accounts kernel memory.
    let start = stack.is_empty() && !evidence.messages.is_empty() && is_accounted(allocation);
    let old = match series {
        Some(series) => ((3, 8)..(3, 19)).contains(&series),
        None => start && !evidence.may_have((4, 6), None),
    };
    if !(seen || old && (creates || start)) || allocation.order < 3 {
        return None;
    }
    let (most, least) = (room(allocation.order), room(allocation.order) / 2);
    let alive = most / 4;
    let behind = if seen {
        "behind it is"
    } else if creates {
        "behind its size is most likely"
    } else {
        "behind its size may be"
    };
    Some(format!(
        "{behind} the growth of memory cgroup ids: for each new slab cache a 3.10 kernel allocates 8 \
         bytes per id that it has room for, and order {} means room for {least} to {most}, so at least \
         {alive} cgroups with kernel memory, alive or leaked",
        allocation.order
    ))
}

/// Functions that allocate the array.
const ARRAY_OF_CACHE: &[&str] =
    &["memcg_register_cache", "memcg_update_cache_size", "memcg_alloc_cache_params"];

/// Functions that create a slab cache; their stack may lack those above.
const CREATES_CACHE: &[&str] =
    &["kmem_cache_create", "kmem_cache_create_memcg", "do_kmem_cache_create"];

/// Whether it is a zeroed allocation of the slab allocator's large sizes, as 3.10 makes it.
fn is_accounted(allocation: &Allocation) -> bool {
    // __GFP_COMP and __GFP_ZERO, in all kernels up to 4.5.
    const COMP_ZERO: u32 = 0x4000 | 0x8000;
    allocation.gfp.raw & COMP_ZERO == COMP_ZERO
}
