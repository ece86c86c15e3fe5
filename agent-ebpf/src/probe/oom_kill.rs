//! The OOM killer has chosen, for an allocation of the current task:
//! - `oom_kill_process`, for the node's memory and for memory cgroups' alike;
//! - the tracepoint `oom:mark_victim`, which knows the victim only.
//!
//! It is rare, and recorded wherever it happens: a container's first process may be the victim, or the
//! one that asks, outside every creation's own steps.
use aya_ebpf::{
    EbpfContext,
    macros::{kprobe, tracepoint},
    programs::{ProbeContext, TracePointContext},
};
use fragwatch_ebpf::{COMM_LEN, Head, OomKilled, OomScope};

use crate::{
    cgroup,
    emit::emit_at,
    kernel::{
        self, MARK_VICTIM_PID, OC_CHOSEN, OC_GFP, OC_MEMCG, OC_ORDER, TASK_COMM, TASK_TGID,
        is_on_stack, now, stack,
    },
    state::Thread,
    thread,
    zones::walk,
};

/// Writes what holds wherever the record comes from.
#[inline(always)]
fn begin(record: &mut OomKilled, head: Head, failure_ns: u64) {
    record.head = head;
    record.victim = 0;
    record.request_known = 0;
    record.order = 0;
    record.gfp = 0;
    record.scope = OomScope::Unknown as u32;
    record.zones_complete = 0;
    record.failure_ns = failure_ns;
    record.victim_cgroup = 0;
    record.zone_count = 0;
    record.frames = 0;
    record.victim_comm = [0; COMM_LEN];
    record.memcg.id = 0;
    record.memcg.depth = 0;
    record.memcg.truncated = 1;
}

#[kprobe]
fn oom_kill_kprobe(ctx: ProbeContext) -> u32 {
    let Some(oc) = ctx.arg::<u64>(0).filter(|oc| is_on_stack(&ctx, *oc)) else { return 0 };
    let Some(thread) = thread::creating().or_else(thread::outside) else { return 0 };
    let gfp = kernel::read::<u32>(oc, OC_GFP.load());
    thread.recorded = 1;
    thread.walk.failure_ns = now();
    thread.walk.begin_oom(oc, gfp.unwrap_or(0));
    // A memory cgroup's limit has nothing to do with the zones.
    if gfp.is_some() && kernel::read::<u64>(oc, OC_MEMCG.load()) == Some(0) {
        walk(&ctx);
    }
    report(&ctx, thread, false);
    0
}

/// Reports the call that the thread's walk was for.
#[inline(always)]
pub(super) fn report(ctx: &ProbeContext, thread: &Thread, complete: bool) {
    let (creation, walk) = (thread.creation_ns, thread.walk);
    let oc = walk.oom_control;
    emit_at::<OomKilled>(creation, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written here or in `begin` before anything reads it; the names' and the stack's rest
        // is never read.
        let record = unsafe { &mut *record };
        begin(record, head, walk.failure_ns);
        record.zones_complete = u32::from(complete);
        record.zone_count = walk.count;
        let order = kernel::read::<i32>(oc, OC_ORDER.load());
        let gfp = kernel::read::<u32>(oc, OC_GFP.load());
        if let (Some(order), Some(gfp)) = (order, gfp) {
            record.order = order;
            record.gfp = gfp;
            record.request_known = 1;
        }
        let victim = kernel::read_or_zero::<u64>(oc, OC_CHOSEN.load());
        record.victim = kernel::read_or_zero(victim, TASK_TGID.load());
        if let Some(comm) = kernel::read(victim, TASK_COMM.load()) {
            record.victim_comm = comm;
        }
        record.victim_cgroup = cgroup::id_of(victim);
        match kernel::read::<u64>(oc, OC_MEMCG.load()) {
            Some(0) => record.scope = OomScope::Node as u32,
            Some(memcg) => {
                record.scope = OomScope::Memcg as u32;
                cgroup::record_memcg(memcg, &mut record.memcg);
            }
            None => {}
        }
        record.frames = stack(ctx, &mut record.stack);
    });
}

#[tracepoint]
fn mark_victim_tracepoint(ctx: TracePointContext) -> u32 {
    let creation = thread::creating().map_or(0, |thread| {
        thread.recorded = 1;
        thread.creation_ns
    });
    let victim = kernel::read_or_zero(ctx.as_ptr() as u64, MARK_VICTIM_PID.load());
    emit_at::<OomKilled>(creation, |record, head| {
        // SAFETY: as above.
        let record = unsafe { &mut *record };
        begin(record, head, 0);
        record.victim = victim;
    });
    0
}
