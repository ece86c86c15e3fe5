//! An allocation of a creation begins to wait, in direct compaction (`try_to_compact_pages`) or direct reclaim
//! (`try_to_free_pages`): its call site and the zones, as they are before room is made. If it gets its pages
//! then, nothing else would say what it lacked.
use aya_ebpf::{macros::kprobe, programs::ProbeContext};
use fragwatch_ebpf::MAX_STALLS;

use super::allocation_failed;
use crate::{
    budget,
    kernel::{self, AC_NODEMASK, now},
    thread,
    zones::walk,
};

/// Once for each allocation: it may compact and reclaim several times.
#[inline(always)]
fn begin(ctx: &ProbeContext, gfp: u32, order: u32, nodemask: u64) {
    let Some(thread) = thread::creating() else { return };
    // Above 0 whatever the mask and the order.
    let allocation = u64::from(gfp) << 32 | u64::from(order) << 1 | 1;
    if thread.stall_recorded == allocation
        || thread.stalls_recorded >= u64::from(MAX_STALLS)
        || thread.waits_for_another(gfp, order)
        || budget::is_spent(thread, gfp, order)
    {
        return;
    }
    thread.stall_recorded = allocation;
    thread.stalls_recorded += 1;
    thread.recorded = 1;
    thread.walk.failure_ns = now();
    thread.walk.gfp = gfp;
    thread.walk.order = order;
    thread.walk.begin(gfp, nodemask);
    thread.walk.stall = 1;
    walk(ctx);
    // There is no program to walk with.
    allocation_failed::report(ctx, thread, false);
}

#[kprobe]
fn compaction_began_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(gfp), Some(order), Some(context)) = (ctx.arg(0), ctx.arg(1), ctx.arg::<u64>(3)) {
        begin(&ctx, gfp, order, kernel::read_or_zero(context, AC_NODEMASK.load()));
    }
    0
}

#[kprobe]
fn reclaim_began_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(order), Some(gfp), Some(nodemask)) = (ctx.arg(1), ctx.arg(2), ctx.arg(3)) {
        begin(&ctx, gfp, order, nodemask);
    }
    0
}
