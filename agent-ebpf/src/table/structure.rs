//! The structures in BTF of the records that tracepoints pass to programs (5.10–7.2).

/// `syscalls:sys_enter_*`
pub const SYSCALL_ENTER: &str = "syscall_trace_enter";
/// `syscalls:sys_exit_*`
pub const SYSCALL_EXIT: &str = "syscall_trace_exit";
/// `compaction:mm_compaction_try_to_compact_pages`
pub const COMPACTION_TRY: &str = "trace_event_raw_mm_compaction_try_to_compact_pages";
/// `compaction:mm_compaction_end`
pub const COMPACTION_END: &str = "trace_event_raw_mm_compaction_end";
/// `compaction:mm_compaction_deferred`
pub const COMPACTION_DEFERRED: &str = "trace_event_raw_mm_compaction_defer_template";
/// `vmscan:mm_vmscan_direct_reclaim_begin`, `vmscan:mm_vmscan_memcg_reclaim_begin`
pub const RECLAIM_BEGIN: &str = "trace_event_raw_mm_vmscan_direct_reclaim_begin_template";
/// `vmscan:mm_vmscan_direct_reclaim_end`, `vmscan:mm_vmscan_memcg_reclaim_end`
pub const RECLAIM_END: &str = "trace_event_raw_mm_vmscan_direct_reclaim_end_template";
