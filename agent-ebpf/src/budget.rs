//! How much is recorded of failures that repeat: the first few in detail, then only how many.
use fragwatch_ebpf::{Counter, MAX_FAILED_STEPS, MAX_FALLBACKS, MAX_REPEATED, StartStep};

use crate::{
    account, cgroup,
    counters::count,
    kernel::{GFP_DIRECT_RECLAIM, GFP_GIVES_UP, GFP_NOWARN, now},
    maps::{FAILED_STEPS, REPEATED_FAILURES},
    state::{Repeated, Thread},
    thread::tid,
};

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
pub(crate) fn is_spent(thread: &mut Thread, gfp: u32, order: u32) -> bool {
    let in_creation = thread.creation_ns != 0;
    if in_creation && !account::is_detailed(thread) {
        return true;
    }
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

/// Counts a failed step of the current task's cgroup. True if it is to be recorded.
#[inline(always)]
pub(crate) fn record_step(step: StartStep, errno: i32) -> bool {
    // Ids of cgroups count up from 1 and don't reach the upper bits.
    let key = cgroup::current_id() ^ (step as u64) << 60 ^ u64::from(errno as u16) << 44;
    let period = period();
    if let Some(repeated) = FAILED_STEPS.get_ptr_mut(key) {
        // SAFETY: as above.
        let repeated = unsafe { &mut *repeated };
        if repeated.period == period {
            // Two CPUs at once may count one.
            repeated.count += 1;
            return repeated.count <= MAX_FAILED_STEPS;
        }
    }
    // If it can't be kept, the next one is recorded too.
    let _ = FAILED_STEPS.insert(key, Repeated { period, count: 1 }, 0);
    true
}

/// Whether the mask says that the caller can't do without: it waits for memory, and mostly has no fallback.
#[inline(always)]
pub(crate) fn is_needed(gfp: u32) -> bool {
    gfp & GFP_DIRECT_RECLAIM.load() != 0 && !has_fallback(gfp)
}

/// Whether the mask says that the caller mostly has a fallback.
#[inline(always)]
fn has_fallback(gfp: u32) -> bool {
    // Absent, it has bits that no mask has.
    let no_warn = GFP_NOWARN.load();
    gfp & no_warn == no_warn && gfp & GFP_GIVES_UP.load() != 0
}
