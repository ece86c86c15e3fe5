//! An allocation failed: the slow path calls `warn_alloc` whenever it returns NULL, with the order as
//! the first variadic argument.
use aya_ebpf::{macros::kprobe, programs::ProbeContext};
use aya_log_ebpf::debug;
use fragwatch_ebpf::{AllocationFailed, Counter, Kind};

use crate::{
    budget,
    emit::emit_at,
    kernel::{self, now, stack},
    state::Thread,
    thread,
    zones::walk,
};

/// What the slow path's format begins with. vmalloc calls with other formats, about other things.
const FORMAT: [u8; 24] = *b"page allocation failure:";

#[kprobe]
fn allocation_failed_kprobe(ctx: ProbeContext) -> u32 {
    let (Some(gfp), Some(nodemask), Some(format), Some(order)) =
        (ctx.arg::<u32>(0), ctx.arg::<u64>(1), ctx.arg::<u64>(2), ctx.arg::<u32>(3))
    else {
        return 0;
    };
    if !kernel::is_order(order) || kernel::read::<[u8; 24]>(format, 0) != Some(FORMAT) {
        return 0;
    }
    let thread = match thread::allocating(Counter::OutsideFailures) {
        // It may be a step of a container's start: the agent knows.
        None if budget::is_needed(gfp) => thread::outside(),
        thread => thread,
    };
    let Some(thread) = thread else { return 0 };
    if thread.is_stalled_for_another(gfp, order) {
        return 0;
    }
    // The next entry into the slow path is no retry of this one.
    thread.gfp = 0;
    thread.stall_recorded = 0;
    thread.recorded = 1;
    thread.walk.failure_ns = now();
    if !budget::record_failure(thread, gfp, order) {
        return 0;
    }
    debug!(&ctx, "allocation failed, tid {}, order {}, gfp {:x}", thread::tid(), order, gfp);
    thread.walk.gfp = gfp;
    thread.walk.order = order;
    thread.walk.begin(gfp, nodemask);
    walk(&ctx);
    // There is no program to walk with.
    report(&ctx, thread, false);
    0
}

/// Reports what the thread's walk was for: a failure, or the begin of a stall, which has the same record.
#[inline(always)]
pub(super) fn report(ctx: &ProbeContext, thread: &Thread, complete: bool) {
    let (creation, walk) = (thread.creation_ns, thread.walk);
    emit_at::<AllocationFailed>(creation, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the stack's rest is never read.
        let record = unsafe { &mut *record };
        record.head = head;
        if walk.stall != 0 {
            record.head.kind = Kind::StallBegan as u32;
        }
        record.failure_ns = walk.failure_ns;
        record.gfp = walk.gfp;
        record.order = walk.order;
        record.zones_complete = u32::from(complete);
        record.zone_count = walk.count;
        record.frames = stack(ctx, &mut record.stack);
        record.reserved = 0;
    });
}
