//! Reading kernel memory at offsets that the agent took from the running kernel's BTF.
use aya_ebpf::{
    EbpfContext, Global,
    helpers::{bpf_probe_read_kernel, generated},
};
use fragwatch_ebpf::ABSENT;

macro_rules! from_btf {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            pub(crate) static $name: Global<u32> = Global::new(ABSENT);
        )+
    };
}

from_btf! {
    /// `task_struct.start_time`
    TASK_START_TIME,
    /// `task_struct.cgroups`
    TASK_CGROUPS,
    /// `css_set.dfl_cgrp`
    CSS_SET_DFL_CGRP,
    /// `css_set.subsys[memory_cgrp_id]`
    CSS_SET_MEMORY,
    /// `cgroup_subsys_state.cgroup`
    CSS_CGROUP,
    /// `cgroup.kn`
    CGROUP_KN,
    /// `cgroup.root`
    CGROUP_ROOT,
    /// `kernfs_node.id`
    KN_ID,
    /// `kernfs_node.name`
    KN_NAME,
    /// `kernfs_node.parent`, `__parent` on newer kernels
    KN_PARENT,
    /// `net.ns.inum`
    NET_INUM,
    /// `pernet_operations.init`
    PERNET_INIT,
    /// `alloc_context.zonelist`
    AC_ZONELIST,
    /// `alloc_context.nodemask`
    AC_NODEMASK,
    /// `alloc_context.highest_zoneidx`
    AC_HIGHEST_ZONEIDX,
    /// `zonelist._zonerefs`
    ZONELIST_ZONEREFS,
    /// `zoneref.zone`
    ZONEREF_ZONE,
    /// `zoneref.zone_idx`
    ZONEREF_IDX,
    /// size of `struct zoneref`
    ZONEREF_SIZE,
    /// `zone._watermark`
    ZONE_WATERMARK,
    /// `zone.watermark_boost`
    ZONE_WATERMARK_BOOST,
    /// `zone.nr_free_highatomic` (6.12), `nr_reserved_highatomic` before
    ZONE_RESERVED_HIGHATOMIC,
    /// `zone.lowmem_reserve`
    ZONE_LOWMEM_RESERVE,
    /// `zone.zone_pgdat`
    ZONE_PGDAT,
    /// `zone.managed_pages`
    ZONE_MANAGED,
    /// `zone.name`
    ZONE_NAME,
    /// `zone.free_area`
    ZONE_FREE_AREA,
    /// `zone.vm_stat[NR_FREE_PAGES]`
    ZONE_FREE_PAGES,
    /// `zone.vm_stat[NR_FREE_CMA_PAGES]`
    ZONE_FREE_CMA,
    /// `pglist_data.node_id`
    PGDAT_NODE_ID,
    /// size of the array `zone.free_area` in bytes
    ZONE_AREAS_LEN,
    /// `mem_cgroup.css.cgroup`
    MEMCG_CGROUP,
    /// `mem_cgroup.memory`
    MEMCG_MEMORY,
    /// `mem_cgroup.kmem`; only kernels with v1's limits have it
    MEMCG_KMEM,
    /// `mem_cgroup.memsw`
    MEMCG_MEMSW,
    /// `cgroup_subsys_state.parent`
    CSS_PARENT,
    /// `page_counter.usage`
    COUNTER_USAGE,
    /// `page_counter.max`
    COUNTER_MAX,
    /// `oom_control.zonelist`
    OC_ZONELIST,
    /// `oom_control.nodemask`
    OC_NODEMASK,
    /// `oom_control.order`
    OC_ORDER,
    /// `oom_control.gfp_mask`
    OC_GFP,
    /// `oom_control.memcg`
    OC_MEMCG,
    /// `oom_control.chosen`
    OC_CHOSEN,
    /// `task_struct.tgid`
    TASK_TGID,
    /// `task_struct.comm`
    TASK_COMM,
    /// The gfp bits of a caller that has a fallback: `__GFP_NOWARN|__GFP_NORETRY`
    GFP_FALLBACK,
    /// `trace_event_raw_mark_victim.pid`
    MARK_VICTIM_PID,
    /// `trace_event_raw_cgroup.id`
    CGROUP_EVENT_ID,
    /// `trace_event_raw_cgroup.root`
    CGROUP_EVENT_ROOT,
    /// `trace_event_raw_cgroup.__data_loc_path`
    CGROUP_EVENT_PATH,
    /// `ZONE_DMA` of `enum zone_type`
    ZONE_TYPE_DMA,
    /// `ZONE_DMA32`
    ZONE_TYPE_DMA32,
    /// `ZONE_NORMAL`
    ZONE_TYPE_NORMAL,
    /// `ZONE_MOVABLE`
    ZONE_TYPE_MOVABLE,
    /// `css_set.subsys[pids_cgrp_id]`
    CSS_SET_PIDS,
    /// `pids_cgroup.counter`
    PIDS_COUNTER,
    /// `pids_cgroup.limit`
    PIDS_LIMIT,
    /// `UCOUNT_INOTIFY_INSTANCES` of `enum ucount_type`: the first that is no namespace
    UCOUNT_NAMESPACES,
    /// `task_struct.nsproxy`
    TASK_NSPROXY,
    /// `nsproxy.net_ns`
    NSPROXY_NET_NS,
    /// `syscall_trace_enter.args`
    SYSCALL_ARGS,
    /// `syscall_trace_exit.ret`
    SYSCALL_RETURNED,
    /// `trace_event_raw_mm_compaction_try_to_compact_pages.order`
    COMPACTION_TRY_ORDER,
    /// `trace_event_raw_mm_compaction_try_to_compact_pages.gfp_mask`
    COMPACTION_TRY_GFP,
    /// `trace_event_raw_mm_compaction_end.status`
    COMPACTION_END_STATUS,
    /// `trace_event_raw_mm_compaction_defer_template.order`
    COMPACTION_DEFERRED_ORDER,
    /// `trace_event_raw_mm_vmscan_direct_reclaim_begin_template.order`
    RECLAIM_BEGIN_ORDER,
    /// `trace_event_raw_mm_vmscan_direct_reclaim_begin_template.gfp_flags`
    RECLAIM_BEGIN_GFP,
    /// `trace_event_raw_mm_vmscan_direct_reclaim_end_template.nr_reclaimed`
    RECLAIM_END_RECLAIMED,
}

/// 1 if every offset that reading zones takes is known.
#[unsafe(no_mangle)]
pub(crate) static ZONES_READABLE: Global<u8> = Global::new(0);

/// Reads a `T` at `base + offset`. `None` if the offset is not in this kernel's BTF, the base is
/// NULL, or the memory can't be read.
#[inline(always)]
pub(crate) fn read<T>(base: u64, offset: u32) -> Option<T> {
    if base == 0 || offset == ABSENT {
        return None;
    }
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    // SAFETY: the helper checks the address and answers an error for memory it can't read.
    unsafe { bpf_probe_read_kernel(address) }.ok()
}

/// Reads a `T` at `base + offset` into `into`, without a branch: 0, or the helper's negative error
/// with `into` zeroed.
#[inline(always)]
pub(crate) fn read_into<T: Copy>(into: &mut T, base: u64, offset: u32) -> i64 {
    let address = base.wrapping_add(u64::from(offset)) as *const _;
    // SAFETY: `into` is as large as is said; the helper checks the address.
    unsafe {
        generated::bpf_probe_read_kernel(
            core::ptr::from_mut(into).cast(),
            size_of::<T>() as u32,
            address,
        )
    }
}

/// Reads a NUL-terminated string into `into`, cut to its length: the bytes read, or a negative
/// error with `into` empty.
#[inline(always)]
pub(crate) fn read_str<const N: usize>(into: &mut [u8; N], address: u64) -> i64 {
    into[0] = 0;
    // SAFETY: `into` is as large as is said; the helper checks the address and writes the NUL.
    unsafe {
        generated::bpf_probe_read_kernel_str(
            into.as_mut_ptr().cast(),
            N as u32,
            address as *const _,
        )
    }
}

/// Argument `n` of a function that an fentry or fexit program is attached to; behind the last one
/// lies an fexit's return value. Read as memory: a plain load would give the verifier a typed
/// pointer, with which nothing can be calculated.
#[inline(always)]
pub(crate) fn argument(ctx: &impl EbpfContext, n: u32) -> u64 {
    let mut value = 0u64;
    read_into(&mut value, ctx.as_ptr() as u64, n * 8);
    value
}

/// The number behind an `ERR_PTR`, or 0 if `pointer` is not one (`IS_ERR_VALUE`, `MAX_ERRNO` 4095).
#[inline(always)]
pub(crate) fn errno_of(pointer: u64) -> i32 {
    let value = pointer.cast_signed();
    if (-4095..0).contains(&value) { value as i32 } else { 0 }
}
