//! How much is recorded of failures that repeat: the first few in detail, then only how many.
use fragwatch_ebpf::{Counter, MAX_FALLBACKS, MAX_REPEATED};

use crate::{
    counters::count,
    kernel::{GFP_FALLBACK, now},
    maps::REPEATED_FAILURES,
    state::Thread,
    thread::tid,
};

/// Failures with one mask and order, of a creation or outside creations.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Repeated {
    /// When the creation began, or the period in which they were outside of one.
    period: u64,
    count: u64,
}

/// Periods are a little longer than a second, as a power of two of nanoseconds.
const PERIOD_BITS: u32 = 30;

#[inline(always)]
fn period() -> u64 {
    now() >> PERIOD_BITS
}

/// What failures are counted by: the creation's thread, mask and order, and in which period. A thread id has 22
/// bits at most (`PID_MAX_LIMIT` in include/linux/threads.h), an order four.
#[inline(always)]
fn key(thread: &Thread, gfp: u32, order: u32) -> (u64, u64) {
    let (tid, period) =
        if thread.creation_ns == 0 { (0, period()) } else { (tid(), thread.creation_ns) };
    (u64::from(gfp) << 32 | u64::from(tid << 4 | order & 0xf), period)
}

/// Whether what happens to an allocation of the thread is only counted, because enough of its mask and order
/// have failed: in a creation if its caller has a fallback, outside in this period.
#[inline(always)]
pub(crate) fn is_spent(thread: &Thread, gfp: u32, order: u32) -> bool {
    let in_creation = thread.creation_ns != 0;
    if in_creation && !has_fallback(gfp) {
        return false;
    }
    let (key, period) = key(thread, gfp, order);
    let Some(repeated) = REPEATED_FAILURES.get_ptr(key) else { return false };
    // SAFETY: memory of the map. Should the element be evicted and reused meanwhile, a record is sent too many
    // or too few.
    let repeated = unsafe { *repeated };
    let most = if in_creation { MAX_FALLBACKS } else { MAX_REPEATED };
    repeated.period == period && repeated.count >= u64::from(most)
}

/// Counts a failure of the thread. True if it is to be recorded, as by [`is_spent`].
#[inline(always)]
pub(crate) fn record_failure(thread: &mut Thread, gfp: u32, order: u32) -> bool {
    if is_spent(thread, gfp, order) {
        if thread.creation_ns == 0 {
            count(Counter::OmittedFailures);
        } else {
            thread.omitted += 1;
        }
        return false;
    }
    if thread.creation_ns != 0 && !has_fallback(gfp) {
        return true;
    }
    let (key, period) = key(thread, gfp, order);
    if let Some(repeated) = REPEATED_FAILURES.get_ptr_mut(key) {
        // SAFETY: as above.
        let repeated = unsafe { &mut *repeated };
        if repeated.period == period {
            // Two CPUs at once may count one.
            repeated.count += 1;
            return true;
        }
    }
    // If it can't be kept, the next one is recorded too.
    let _ = REPEATED_FAILURES.insert(key, Repeated { period, count: 1 }, 0);
    true
}

/// Whether the mask says that the caller mostly has a fallback.
#[inline(always)]
fn has_fallback(gfp: u32) -> bool {
    // Absent, it has bits that no mask has.
    let fallback = GFP_FALLBACK.load();
    gfp & fallback == fallback
}
