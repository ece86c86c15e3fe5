//! Reclaim of a memory cgroup's memory for a charge that found no room, inside a creation: the
//! tracepoints `vmscan:mm_vmscan_memcg_reclaim_begin` and `_end` (5.10–7.2; mm/vmscan.c, in
//! `try_to_free_mem_cgroup_pages`); the second's first argument is what was freed. A charge may
//! have its cgroup reclaimed a dozen times, and may succeed afterwards: a record is for all since the one before.
//! What comes after the last record is a part of the creation's stall alone. The end of the creation does not
//! record it: the verifier would take half as long again for each program that sees one.
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use fragwatch_ebpf::MemcgReclaimEnded;

use super::memcg_charge;
use crate::{
    cgroup,
    emit::emit,
    kernel::now,
    state::{MemcgReclaims, Stall},
    thread,
};

#[raw_tracepoint]
fn memcg_reclaim_begin_raw_tracepoint(_: RawTracePointContext) -> i32 {
    if let Some(thread) = thread::creating()
        && !thread.is_stalled()
    {
        // For a charge, whatever its mask and order.
        thread.memcg_reclaim = Stall { since: now(), gfp: 0, order: 0 };
    }
    0
}

/// Less than this is recorded with what follows, but for the first time.
const WORTH_A_RECORD_NS: u64 = 1_000_000;

#[raw_tracepoint]
fn memcg_reclaim_end_raw_tracepoint(ctx: RawTracePointContext) -> i32 {
    let Some(thread) = thread::creating() else { return 0 };
    let since = thread.memcg_reclaim.since;
    if since == 0 {
        return 0;
    }
    thread.memcg_reclaim.since = 0;
    let freed: u64 = ctx.arg(0);
    let before = thread.memcg_reclaims;
    let count = before.count + 1;
    let reclaimed = before.reclaimed.saturating_add(freed);
    let stall_ns = before.stall_ns.saturating_add(now().saturating_sub(since));
    let is_first = before.recorded_ns == 0;
    if !is_first && stall_ns < WORTH_A_RECORD_NS.max(before.recorded_ns / 4) {
        thread.memcg_reclaims = MemcgReclaims { count, reclaimed, stall_ns, ..before };
        return 0;
    }
    let recorded_ns = before.recorded_ns.saturating_add(stall_ns).max(1);
    thread.memcg_reclaims = MemcgReclaims { recorded_ns, ..MemcgReclaims::NONE };
    let memcg = memcg_charge::refused_by(thread);
    emit::<MemcgReclaimEnded>(thread, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field is
        // written below before anything reads it; the names' rest is never read.
        let record = unsafe { &mut *record };
        record.head = head;
        record.count = count;
        record.reclaimed = reclaimed;
        record.stall_ns = stall_ns;
        cgroup::record_memcg(memcg, &mut record.cgroup);
    });
    0
}
