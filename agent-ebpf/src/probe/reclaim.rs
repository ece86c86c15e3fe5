//! `unsigned long try_to_free_pages(struct zonelist *, int order, gfp_t, nodemask_t *)`
//! (5.10–7.2; mm/vmscan.c): direct reclaim; returns the pages it freed.
use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::{Counter, Kind, ReclaimEnded};

use crate::{
    emit::{emit, head, now},
    kernel::argument,
    thread::{self, Stall},
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
    let creation = thread.creation_ns;
    emit::<ReclaimEnded>(creation, |record| {
        let ended = ReclaimEnded {
            head: head(Kind::ReclaimEnded, creation),
            gfp,
            order,
            reclaimed,
            stall_ns,
        };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(ended) };
    });
}

#[fentry]
fn reclaim_fentry(ctx: FEntryContext) -> u32 {
    enter(argument(&ctx, 2) as u32, argument(&ctx, 1) as u32);
    0
}

#[fexit]
fn reclaim_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the four arguments.
    leave(argument(&ctx, 4));
    0
}

#[kprobe]
fn reclaim_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(order), Some(gfp)) = (ctx.arg(1), ctx.arg(2)) {
        enter(gfp, order);
    }
    0
}

#[kretprobe]
fn reclaim_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(ctx.ret());
    0
}
