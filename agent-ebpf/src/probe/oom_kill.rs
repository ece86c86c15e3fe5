//! The OOM killer has chosen, for an allocation of the current task:
//! - `static void oom_kill_process(struct oom_control *oc, const char *message)`
//!   (5.10–7.2; mm/oom_kill.c), for the node's memory and for memory cgroups' alike;
//! - the tracepoint `oom:mark_victim`, which knows no more than the victim.
use aya_ebpf::{
    EbpfContext,
    macros::{kprobe, tracepoint},
    programs::{ProbeContext, TracePointContext},
};
use fragwatch_ebpf::{COMM_LEN, Kind, OomKilled};

use crate::{
    cgroup,
    emit::{emit, head},
    kernel::{self, MARK_VICTIM_PID, OC_CHOSEN, OC_GFP, OC_MEMCG, OC_ORDER, TASK_COMM, TASK_TGID},
    thread,
};

/// [`OomKilled::scope`]
const NODE: u32 = 0;
/// [`OomKilled::scope`]
const MEMCG: u32 = 1;
/// [`OomKilled::scope`]
const UNKNOWN: u32 = 2;

/// Writes what holds wherever the record comes from.
#[inline(always)]
fn begin(record: &mut OomKilled, creation: u64) {
    record.head = head(Kind::OomKilled, creation);
    record.victim = 0;
    record.request_known = 0;
    record.order = 0;
    record.gfp = 0;
    record.scope = UNKNOWN;
    record.reserved = 0;
    record.victim_comm = [0; COMM_LEN];
    record.memcg.id = 0;
    record.memcg.depth = 0;
    record.memcg.truncated = 1;
}

#[kprobe]
fn oom_kill_kprobe(ctx: ProbeContext) -> u32 {
    let Some(oc) = ctx.arg::<u64>(0) else { return 0 };
    let Some(thread) = thread::creating().or_else(thread::watched_outside) else { return 0 };
    let creation = thread.creation_ns;
    emit::<OomKilled>(creation, |record| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written here or in `begin` before anything reads it; the names' rest is never read.
        let record = unsafe { &mut *record };
        begin(record, creation);
        let order = kernel::read::<i32>(oc, OC_ORDER.load());
        let gfp = kernel::read::<u32>(oc, OC_GFP.load());
        if let (Some(order), Some(gfp)) = (order, gfp) {
            record.order = order;
            record.gfp = gfp;
            record.request_known = 1;
        }
        let victim = kernel::read::<u64>(oc, OC_CHOSEN.load()).unwrap_or(0);
        record.victim = kernel::read(victim, TASK_TGID.load()).unwrap_or(0);
        if let Some(comm) = kernel::read(victim, TASK_COMM.load()) {
            record.victim_comm = comm;
        }
        match kernel::read::<u64>(oc, OC_MEMCG.load()) {
            Some(0) => record.scope = NODE,
            Some(memcg) => {
                record.scope = MEMCG;
                cgroup::record_memcg(memcg, &mut record.memcg);
            }
            None => {}
        }
    });
    0
}

#[tracepoint]
fn mark_victim_tracepoint(ctx: TracePointContext) -> u32 {
    let Some(thread) = thread::creating().or_else(thread::watched_outside) else { return 0 };
    let creation = thread.creation_ns;
    let victim = kernel::read(ctx.as_ptr() as u64, MARK_VICTIM_PID.load()).unwrap_or(0);
    emit::<OomKilled>(creation, |record| {
        // SAFETY: as above.
        let record = unsafe { &mut *record };
        begin(record, creation);
        record.victim = victim;
    });
    0
}
