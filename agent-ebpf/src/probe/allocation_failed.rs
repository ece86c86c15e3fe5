//! An allocation failed: the slow path calls `warn_alloc` whenever it returns NULL, with the order as
//! the first variadic argument.
use aya_ebpf::{macros::kprobe, programs::ProbeContext};
use aya_log_ebpf::debug;
use fragwatch_ebpf::{AllocationFailed, Counter, MAX_FALLBACKS};

use crate::{
    emit::emit_at,
    kernel::{self, GFP_FALLBACK, now, stack},
    maps::LAST_FAILURE,
    state::Thread,
    thread,
    zones::walk,
};

/// What the slow path's format begins with. vmalloc calls with other formats, about other things.
const FORMAT: [u8; 24] = *b"page allocation failure:";

#[kprobe]
fn allocation_failed_kprobe(ctx: ProbeContext) -> u32 {
    let (Some(gfp), Some(format), Some(order)) =
        (ctx.arg::<u32>(0), ctx.arg::<u64>(2), ctx.arg::<u32>(3))
    else {
        return 0;
    };
    if kernel::read::<[u8; 24]>(format, 0) != Some(FORMAT) {
        return 0;
    }
    let Some(thread) = thread::allocating(Counter::OutsideFailures) else { return 0 };
    if thread.is_stalled_for_another(gfp, order) {
        return 0;
    }
    thread.recorded = 1;
    let mut alloc_context = 0;
    // Another allocation's context is another frame: only the one that this mask and order came
    // with may be read.
    if thread.gfp == gfp && thread.order == order {
        alloc_context = thread.alloc_context;
        thread.alloc_context = 0;
    }
    debug!(&ctx, "allocation failed, tid {}, order {}, gfp {:x}", thread::tid(), order, gfp);
    thread.walk.failure_ns = now();
    if thread.creation_ns != 0
        && let Some(last) = LAST_FAILURE.get_ptr_mut(0)
    {
        // SAFETY: memory of the map. Of two failures at the same time either may be the last.
        unsafe { *last = thread.walk.failure_ns };
    }
    thread.walk.gfp = gfp;
    thread.walk.order = order;
    if is_one_of_many(thread, gfp) {
        thread.walk.begin(0);
        report::<false>(&ctx, thread, false);
        return 0;
    }
    thread.walk.begin(alloc_context);
    walk(&ctx);
    // There is no program to walk with.
    report::<true>(&ctx, thread, false);
    0
}

/// Whether the creation has had so many failures with a fallback that one more needs no detail.
#[inline(always)]
fn is_one_of_many(thread: &mut Thread, gfp: u32) -> bool {
    // Absent, it has bits that no mask has.
    let fallback = GFP_FALLBACK.load();
    if thread.creation_ns == 0 || gfp & fallback != fallback {
        return false;
    }
    thread.fallbacks += 1;
    thread.fallbacks > u64::from(MAX_FALLBACKS)
}

/// Reports the failure that the thread's walk was for, with its stack or without.
#[inline(always)]
pub(super) fn report<const STACK: bool>(ctx: &ProbeContext, thread: &Thread, complete: bool) {
    let (creation, walk) = (thread.creation_ns, thread.walk);
    emit_at::<AllocationFailed>(creation, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the stack's rest is never read.
        let record = unsafe { &mut *record };
        record.head = head;
        record.failure_ns = walk.failure_ns;
        record.gfp = walk.gfp;
        record.order = walk.order;
        record.zones_complete = u32::from(complete);
        record.zone_count = walk.count;
        record.frames = if STACK { stack(ctx, &mut record.stack) } else { 0 };
        record.reserved = 0;
    });
}
