//! Reclaim of a memory cgroup's memory for a charge that found no room, inside a creation: the
//! tracepoints `vmscan:mm_vmscan_memcg_reclaim_begin` and `_end` (5.10–7.2; mm/vmscan.c, in
//! `try_to_free_mem_cgroup_pages`). Their records are laid out as those of direct reclaim. A charge may
//! have its cgroup reclaimed a dozen times, and may succeed afterwards: all of it is recorded at the end of
//! the creation.
use aya_ebpf::{EbpfContext, macros::tracepoint, programs::TracePointContext};
use fragwatch_ebpf::MemcgReclaimEnded;

use super::memcg_charge;
use crate::{
    cgroup,
    emit::emit,
    kernel::{self, RECLAIM_BEGIN_GFP, RECLAIM_BEGIN_ORDER, RECLAIM_END_RECLAIMED, now},
    state::{MemcgReclaims, Stall, Thread},
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
    let since = thread.memcg_reclaim.since;
    if since == 0 {
        return 0;
    }
    thread.memcg_reclaim.since = 0;
    let reclaimed = kernel::read(ctx.as_ptr() as u64, RECLAIM_END_RECLAIMED.load()).unwrap_or(0);
    let MemcgReclaims { count, reclaimed: before, stall_ns, .. } = thread.memcg_reclaims;
    thread.memcg_reclaims = MemcgReclaims {
        count: count + 1,
        reclaimed: before.saturating_add(reclaimed),
        stall_ns: stall_ns.saturating_add(now().saturating_sub(since)),
        memcg: memcg_charge::refused_by(thread),
    };
    0
}

/// The thread's creation ends: reports what its charges waited for.
#[inline(always)]
pub(super) fn report(thread: &mut Thread) {
    let MemcgReclaims { count, reclaimed, stall_ns, memcg } = thread.memcg_reclaims;
    if count == 0 {
        return;
    }
    thread.memcg_reclaims.count = 0;
    let Stall { gfp, order, .. } = thread.memcg_reclaim;
    emit::<MemcgReclaimEnded>(thread, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field is
        // written below before anything reads it; the names' rest is never read.
        let record = unsafe { &mut *record };
        record.head = head;
        record.gfp = gfp;
        record.order = order;
        record.count = count;
        record.reclaimed = reclaimed;
        record.stall_ns = stall_ns;
        cgroup::record_memcg(memcg, &mut record.cgroup);
    });
}
