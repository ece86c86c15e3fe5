//! `enum compact_result try_to_compact_pages(gfp_t, unsigned int order, unsigned int alloc_flags,
//! const struct alloc_context *, enum compact_priority, struct page **)`
//! (5.10–7.2; mm/compaction.c): direct compaction.
use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::{CompactionEnded, Counter, Kind};

use crate::{
    emit::{emit, head, now},
    kernel::argument,
    thread::{self, Stall},
};

#[inline(always)]
fn enter(gfp: u32, order: u32, alloc_context: u64) {
    let Some(thread) = thread::allocating(Counter::OutsideCompactions) else { return };
    if thread.is_stalled() {
        return;
    }
    // Where the slow path's entry can't be seen, this is the second way to its context.
    thread.gfp = gfp;
    thread.order = order;
    thread.alloc_context = alloc_context;
    thread.compaction = Stall { since: now(), gfp, order };
}

#[inline(always)]
fn leave(result: u32) {
    let Some(thread) = thread::creating().or_else(thread::watched_outside) else { return };
    let Stall { since, gfp, order } = thread.compaction;
    if since == 0 {
        return;
    }
    thread.compaction.since = 0;
    let stall_ns = now().saturating_sub(since);
    let creation = thread.creation_ns;
    emit::<CompactionEnded>(creation, |record| {
        let ended = CompactionEnded {
            head: head(Kind::CompactionEnded, creation),
            gfp,
            order,
            result,
            reserved: 0,
            stall_ns,
        };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(ended) };
    });
}

#[fentry]
fn compaction_fentry(ctx: FEntryContext) -> u32 {
    enter(argument(&ctx, 0) as u32, argument(&ctx, 1) as u32, argument(&ctx, 3));
    0
}

#[fexit]
fn compaction_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the six arguments.
    leave(argument(&ctx, 6) as u32);
    0
}

#[kprobe]
fn compaction_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(gfp), Some(order), Some(ac)) = (ctx.arg(0), ctx.arg(1), ctx.arg(3)) {
        enter(gfp, order, ac);
    }
    0
}

#[kretprobe]
fn compaction_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(ctx.ret());
    0
}
