//! Direct compaction, from either of:
//! - `try_to_compact_pages`;
//! - tracepoints inside it (5.10–7.2; include/trace/events/compaction.h):
//!   `compaction:mm_compaction_try_to_compact_pages` says for which allocation, and then one of
//!   `mm_compaction_deferred` and `mm_compaction_begin` with `mm_compaction_end` comes for each
//!   zone that it does not skip. So there is one result for each zone, not one for all; the
//!   function's own is the largest of them. Nothing says when the last zone is done: a task that
//!   compacts by hand (vm.compact_memory) after it was in direct compaction is taken for being in
//!   it still.
use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe, tracepoint},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext, TracePointContext},
};
use fragwatch_ebpf::{CompactionEnded, Counter};

use crate::{
    budget,
    emit::emit,
    kernel::{
        self, COMPACTION_DEFERRED_ORDER, COMPACTION_END_STATUS, COMPACTION_TRY_GFP,
        COMPACTION_TRY_ORDER, is_order, now, number,
    },
    state::{Stall, Thread},
    thread,
};

/// `COMPACT_DEFERRED` of `enum compact_result`.
const DEFERRED: u32 = 2;

#[inline(always)]
fn enter(gfp: u32, order: u32) {
    let Some(thread) = thread::allocating(Counter::OutsideCompactions) else { return };
    if thread.is_stalled() {
        return;
    }
    thread.compaction = Stall { since: now(), gfp, order };
}

#[inline(always)]
fn leave(result: u32) {
    let Some(thread) = thread::creating().or_else(thread::watched_outside) else { return };
    let since = thread.compaction.since;
    if since == 0 {
        return;
    }
    thread.compaction.since = 0;
    let stall_ns = now().saturating_sub(since);
    if budget::is_spent(thread, thread.compaction.gfp, thread.compaction.order) {
        thread.omitted_stall_ns += stall_ns;
        return;
    }
    report(thread, result, stall_ns);
}

#[inline(always)]
fn report(thread: &mut Thread, result: u32, stall_ns: u64) {
    let Stall { gfp, order, .. } = thread.compaction;
    emit::<CompactionEnded>(thread, |record, head| {
        let ended = CompactionEnded { head, gfp, order, result, reserved: 0, stall_ns };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(ended) };
    });
}

#[fentry]
fn compaction_fentry(ctx: FEntryContext) -> u32 {
    enter(number(&ctx, 0) as u32, number(&ctx, 1) as u32);
    0
}

#[fexit]
fn compaction_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the six arguments.
    leave(number(&ctx, 6) as u32);
    0
}

#[kprobe]
fn compaction_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(gfp), Some(order)) = (ctx.arg(0), ctx.arg(1))
        && is_order(order)
    {
        enter(gfp, order);
    }
    0
}

#[kretprobe]
fn compaction_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(ctx.ret());
    0
}

#[tracepoint]
fn compaction_try_tracepoint(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    let order = kernel::read(event, COMPACTION_TRY_ORDER.load());
    let gfp = kernel::read(event, COMPACTION_TRY_GFP.load());
    if let (Some(order), Some(gfp)) = (order, gfp)
        && let Some(thread) = thread::allocating(Counter::OutsideCompactions)
        && !thread.is_stalled()
    {
        // No zone is being compacted yet.
        thread.compaction = Stall { since: 0, gfp, order };
    }
    0
}

#[tracepoint]
fn compaction_begin_tracepoint(_ctx: TracePointContext) -> u32 {
    if let Some(thread) = thread::creating().or_else(thread::watched_outside)
        // Order 0: no allocation is known that it is for.
        && thread.compaction.order != 0
        && !thread.is_stalled()
    {
        thread.compaction.since = now();
    }
    0
}

#[tracepoint]
fn compaction_end_tracepoint(ctx: TracePointContext) -> u32 {
    // No result has this number.
    leave(kernel::read(ctx.as_ptr() as u64, COMPACTION_END_STATUS.load()).unwrap_or(u32::MAX));
    0
}

#[tracepoint]
fn compaction_deferred_tracepoint(ctx: TracePointContext) -> u32 {
    if let Some(thread) = thread::creating().or_else(thread::watched_outside)
        && let Some(order) =
            kernel::read::<u32>(ctx.as_ptr() as u64, COMPACTION_DEFERRED_ORDER.load())
        && order != 0
        && thread.compaction.order == order
        && !thread.is_stalled()
        && !budget::is_spent(thread, thread.compaction.gfp, order)
    {
        report(thread, DEFERRED, 0);
    }
    0
}
