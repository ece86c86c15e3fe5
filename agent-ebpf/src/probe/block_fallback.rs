//! Counts allocations that found no free block of their migratetype and took one of another: the tracepoint
//! `kmem:mm_page_alloc_extfrag(struct page *page, int alloc_order, int fallback_order, int
//! alloc_migratetype, int fallback_migratetype)` (5.10–7.2; mm/page_alloc.c). The kernel holds the zone's
//! lock, so it counts and does nothing else.
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use fragwatch_ebpf::MIGRATETYPES;

use crate::maps::FALLBACKS;

#[raw_tracepoint]
fn block_fallback(ctx: RawTracePointContext) -> i32 {
    let wanted: u64 = ctx.arg(3);
    let stolen: u64 = ctx.arg(4);
    let types = MIGRATETYPES as u64;
    // Those of CMA and of isolated blocks are not counted.
    if wanted < types
        && stolen < types
        && let Some(count) = FALLBACKS.get_ptr_mut((wanted * types + stolen) as u32)
    {
        // SAFETY: the pointer is a live map slot of this CPU. Interrupts are off while the zone's lock is
        // held.
        unsafe { *count += 1 };
    }
    0
}
