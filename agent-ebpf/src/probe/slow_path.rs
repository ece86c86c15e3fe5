//! A page allocation entered the slow path, from one of:
//! - `__alloc_pages_slowpath`, where the kernel allows a kprobe on it;
//! - `wake_all_kswapds`, which it calls on entry and on every retry if the mask has
//!   `__GFP_KSWAPD_RECLAIM`;
//! - `wakeup_kswapd`, which that calls for each node, where it is inlined itself. A zone whose watermark
//!   was raised gets there too, without a mask (`rmqueue`);
//! - the tracepoint `compaction:mm_compaction_try_to_compact_pages` (5.10–7.2): only the slow path
//!   tries direct compaction. `oom:reclaim_retry_zone` would not do: it knows no gfp mask, and an
//!   order above 3 gets there with `__GFP_RETRY_MAYFAIL` only.
use aya_ebpf::{
    EbpfContext,
    macros::{kprobe, tracepoint},
    programs::{ProbeContext, TracePointContext},
};
use fragwatch_ebpf::{Counter, SlowPathEntered};

use crate::{
    budget,
    emit::emit,
    kernel::{self, COMPACTION_TRY_GFP, COMPACTION_TRY_ORDER, is_on_stack, is_order},
    thread,
};

#[inline(always)]
fn enter(gfp: u32, order: u32, alloc_context: u64) {
    let Some(thread) = thread::allocating(Counter::OutsideSlowPaths) else { return };
    if thread.is_stalled() {
        return;
    }
    let retry = thread.alloc_context == alloc_context && thread.gfp == gfp && thread.order == order;
    thread.alloc_context = alloc_context;
    thread.gfp = gfp;
    thread.order = order;
    if !retry {
        thread.stall_recorded = 0;
    }
    if retry || budget::is_spent(thread, gfp, order) {
        return;
    }
    emit::<SlowPathEntered>(thread, |record, head| {
        let entered = SlowPathEntered { head, gfp, order };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(entered) };
    });
}

#[kprobe]
fn slow_path_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(gfp), Some(order), Some(ac)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2))
        && is_order(order)
        && is_on_stack(&ctx, ac)
    {
        enter(gfp, order, ac);
    }
    0
}

#[kprobe]
fn wake_all_kswapds_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(order), Some(gfp), Some(ac)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2))
        && is_order(order)
        && is_on_stack(&ctx, ac)
    {
        enter(gfp, order, ac);
    }
    0
}

#[kprobe]
fn wakeup_kswapd_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(gfp), Some(order)) = (ctx.arg(1), ctx.arg(2))
        && gfp != 0
        && is_order(order)
    {
        // No context comes with it.
        enter(gfp, order, 0);
    }
    0
}

#[tracepoint]
fn slow_path_tracepoint(ctx: TracePointContext) -> u32 {
    let event = ctx.as_ptr() as u64;
    let order = kernel::read(event, COMPACTION_TRY_ORDER.load());
    let gfp = kernel::read(event, COMPACTION_TRY_GFP.load());
    if let (Some(order), Some(gfp)) = (order, gfp) {
        // No context comes with it.
        enter(gfp, order, 0);
    }
    0
}
