//! Reclaim of a memory cgroup's memory for a charge that found no room, inside a creation: the
//! tracepoints `vmscan:mm_vmscan_memcg_reclaim_begin` and `_end` (5.10–7.2; mm/vmscan.c, in
//! `try_to_free_mem_cgroup_pages`). Their records are laid out as those of direct reclaim. The
//! charge may have succeeded afterwards.
use aya_ebpf::{EbpfContext, macros::tracepoint, programs::TracePointContext};
use fragwatch_ebpf::{MemcgReclaimEnded, ReclaimEnded};

use crate::{
    emit::emit,
    kernel::{self, RECLAIM_BEGIN_GFP, RECLAIM_BEGIN_ORDER, RECLAIM_END_RECLAIMED, now},
    state::Stall,
    thread,
};

#[tracepoint]
fn memcg_reclaim_begin_tracepoint(ctx: TracePointContext) -> u32 {
    let Some(thread) = thread::creating() else { return 0 };
    let event = ctx.as_ptr() as u64;
    let order = kernel::read(event, RECLAIM_BEGIN_ORDER.load());
    let gfp = kernel::read(event, RECLAIM_BEGIN_GFP.load());
    if let (Some(order), Some(gfp)) = (order, gfp)
        && !thread.is_stalled()
    {
        thread.memcg_reclaim = Stall { since: now(), gfp, order };
    }
    0
}

#[tracepoint]
fn memcg_reclaim_end_tracepoint(ctx: TracePointContext) -> u32 {
    let Some(thread) = thread::creating() else { return 0 };
    let Stall { since, gfp, order } = thread.memcg_reclaim;
    if since == 0 {
        return 0;
    }
    thread.memcg_reclaim.since = 0;
    let stall_ns = now().saturating_sub(since);
    let reclaimed = kernel::read_or_zero(ctx.as_ptr() as u64, RECLAIM_END_RECLAIMED.load());
    emit::<MemcgReclaimEnded>(thread, |record, head| {
        let ended = MemcgReclaimEnded(ReclaimEnded { head, gfp, order, reclaimed, stall_ns });
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(ended) };
    });
    0
}
