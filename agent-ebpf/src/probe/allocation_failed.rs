//! An allocation failed: the slow path calls `warn_alloc` whenever it returns NULL, with the order as
//! the first variadic argument.
use aya_ebpf::{
    EbpfContext, helpers::generated::bpf_get_stack, macros::kprobe, programs::ProbeContext,
};
use aya_log_ebpf::debug;
use fragwatch_ebpf::{AllocationFailed, Counter, MAX_FALLBACKS, MAX_FRAMES};

use super::oom_kill;
use crate::{
    emit::{emit, now},
    kernel::{self, GFP_FALLBACK},
    maps::ZONE_WALK,
    thread::{self, Thread},
    zones::Step,
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
    thread.troubled = 1;
    let mut alloc_context = 0;
    // Another allocation's context is another frame: only the one that this mask and order came
    // with may be read.
    if thread.gfp == gfp && thread.order == order {
        alloc_context = thread.alloc_context;
        thread.alloc_context = 0;
    }
    debug!(&ctx, "allocation failed, tid {}, order {}, gfp {:x}", thread::tid(), order, gfp);
    thread.walk.failure_ns = now();
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

/// Reads one zone and goes on to the next, or ends with what the walk is for.
#[kprobe]
fn zone_walk_kprobe(ctx: ProbeContext) -> u32 {
    let Some(thread) = thread::creating().or_else(thread::outside) else { return 0 };
    let creation = thread.creation_ns;
    let complete = match thread.walk.step(creation) {
        Step::More => {
            walk(&ctx);
            // More entries than the kernel lets one program follow another.
            false
        }
        Step::Complete => true,
        Step::Stopped => false,
    };
    if thread.walk.oom_control == 0 {
        report::<true>(&ctx, thread, complete);
    } else {
        oom_kill::report(&ctx, thread, complete);
    }
    0
}

/// Hands over to the program that reads a zone; comes back only if that can't be done.
#[inline(always)]
pub(super) fn walk(ctx: &ProbeContext) {
    // SAFETY: nothing here waits to be dropped: all that is held is in the thread's slot.
    unsafe { ZONE_WALK.tail_call(ctx, 0) };
}

/// Reports the failure that the thread's walk was for, with its stack or without.
#[inline(always)]
fn report<const STACK: bool>(ctx: &ProbeContext, thread: &Thread, complete: bool) {
    let (creation, walk) = (thread.creation_ns, thread.walk);
    emit::<AllocationFailed>(creation, |record, head| {
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

/// Takes the kernel stack; returns how many frames it has, 0 if it can't be had.
#[inline(always)]
pub(super) fn stack(ctx: &ProbeContext, into: &mut [u64; MAX_FRAMES]) -> u32 {
    // SAFETY: the buffer is as large as the size that is passed.
    let bytes = unsafe {
        bpf_get_stack(ctx.as_ptr(), into.as_mut_ptr().cast(), size_of_val(into) as u32, 0)
    };
    if bytes > 0 { bytes as u32 / 8 } else { 0 }
}
