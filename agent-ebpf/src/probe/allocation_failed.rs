//! `void warn_alloc(gfp_t gfp, nodemask_t *, const char *fmt, ...)` (5.10–7.2; mm/page_alloc.c).
//! The slow path calls it whenever it returns NULL, before anybody looks at `__GFP_NOWARN`, with
//! the order as the first variadic argument. Variadic: a kprobe only.
use aya_ebpf::{
    EbpfContext, helpers::generated::bpf_get_stack, macros::kprobe, programs::ProbeContext,
};
use aya_log_ebpf::debug;
use fragwatch_ebpf::{AllocationFailed, Counter, Kind, MAX_FRAMES};

use crate::{
    emit::{emit, head, now},
    kernel, thread, zones,
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
    if thread.is_stalled() {
        return 0;
    }
    let mut alloc_context = 0;
    // Another allocation's context is another frame: only the one that this mask and order came
    // with may be read.
    if thread.gfp == gfp && thread.order == order {
        alloc_context = thread.alloc_context;
        thread.alloc_context = 0;
    }
    let creation = thread.creation_ns;
    debug!(&ctx, "allocation failed, tid {}, order {}, gfp {:x}", thread::tid(), order, gfp);
    let failure_ns = now();
    let zones = zones::record(alloc_context, failure_ns, creation);
    emit::<AllocationFailed>(creation, |record| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the stack's rest is never read.
        let record = unsafe { &mut *record };
        record.head = head(Kind::AllocationFailed, creation);
        record.failure_ns = failure_ns;
        record.gfp = gfp;
        record.order = order;
        record.zones_complete = u32::from(zones.complete);
        record.zone_count = zones.count;
        record.frames = stack(&ctx, &mut record.stack);
        record.reserved = 0;
    });
    0
}

/// Takes the kernel stack; returns how many frames it has, 0 if it can't be had.
#[inline(always)]
fn stack(ctx: &ProbeContext, into: &mut [u64; MAX_FRAMES]) -> u32 {
    // SAFETY: the buffer is as large as the size that is passed.
    let bytes = unsafe {
        bpf_get_stack(ctx.as_ptr(), into.as_mut_ptr().cast(), size_of_val(into) as u32, 0)
    };
    if bytes > 0 { bytes as u32 / 8 } else { 0 }
}
