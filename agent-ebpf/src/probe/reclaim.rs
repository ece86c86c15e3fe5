//! Direct reclaim, from either of:
//! - `try_to_free_pages`, which returns the pages it freed;
//! - the tracepoints `vmscan:mm_vmscan_direct_reclaim_begin` and `_end` inside it, behind where it
//!   holds allocations back (`throttle_direct_reclaim`).
use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe, tracepoint},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext, TracePointContext},
};
use fragwatch_ebpf::{Counter, ReclaimEnded};

use crate::{
    budget,
    emit::emit,
    kernel::{
        self, RECLAIM_BEGIN_GFP, RECLAIM_BEGIN_ORDER, RECLAIM_END_RECLAIMED, is_order, now, number,
    },
    state::Stall,
    thread,
};

#[inline(always)]
fn enter(gfp: u32, order: u32) {
    let Some(thread) = thread::allocating(Counter::OutsideReclaims) else { return };
    if thread.is_stalled() {
        return;
    }
    thread.reclaim = Stall { since: now(), gfp, order };
}

#[inline(always)]
fn leave(reclaimed: u64) {
    let Some(thread) = thread::creating().or_else(thread::watched_outside) else { return };
    let Stall { since, gfp, order } = thread.reclaim;
    if since == 0 {
        return;
    }
    thread.reclaim.since = 0;
    let stall_ns = now().saturating_sub(since);
    if budget::is_spent(thread, gfp, order) {
        thread.omitted_stall_ns += stall_ns;
        return;
    }
    emit::<ReclaimEnded>(thread, |record, head| {
        let ended = ReclaimEnded { head, gfp, order, reclaimed, stall_ns };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(ended) };
    });
}

#[fentry]
fn reclaim_fentry(ctx: FEntryContext) -> u32 {
    enter(number(&ctx, 2) as u32, number(&ctx, 1) as u32);
    0
}

#[fexit]
fn reclaim_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the four arguments.
    leave(number(&ctx, 4));
    0
}

#[kprobe]
fn reclaim_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(order), Some(gfp)) = (ctx.arg(1), ctx.arg(2))
        && is_order(order)
    {
        enter(gfp, order);
    }
    0
}

#[kretprobe]
fn reclaim_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(ctx.ret());
    0
}

#[tracepoint]
fn reclaim_begin_tracepoint(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    let order = kernel::read(event, RECLAIM_BEGIN_ORDER.load());
    let gfp = kernel::read(event, RECLAIM_BEGIN_GFP.load());
    if let (Some(order), Some(gfp)) = (order, gfp) {
        enter(gfp, order);
    }
    0
}

#[tracepoint]
fn reclaim_end_tracepoint(ctx: TracePointContext) -> u32 {
    leave(kernel::read_or_zero(ctx.as_ptr() as u64, RECLAIM_END_RECLAIMED.load()));
    0
}
