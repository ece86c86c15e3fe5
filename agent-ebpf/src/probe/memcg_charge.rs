//! Charges to a memory cgroup, at `page_counter_try_charge`.
//!
//! A charge is the current task's cgroup's, or that of the cgroup in `task_struct.active_memcg`: what a new
//! cgroup takes is charged to its parent, whichever process makes it (`mem_cgroup_css_alloc`, from 5.9 on).
//!
//! A memory cgroup's charges end up here, but only some: a CPU takes 64 pages in advance. What every
//! charge goes through (`obj_cgroup_charge`) would cost the node 11 % of a pipe's making; here the
//! same loop pays nothing that can be measured. A refusal is not yet a failure, for the kernel makes
//! room and tries again. So it is reported when a step of a creation has failed, and the last charge
//! before that was refused.
use aya_ebpf::{
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use fragwatch_ebpf::{CGROUP_LEVELS, ChargeFailed, Head, Limit, table::ABSENT};

use crate::{
    cgroup,
    emit::{emit, emit_outside},
    kernel::{
        self, COUNTER_MAX, COUNTER_USAGE, CSS_PARENT, MEMCG_KMEM, MEMCG_MEMORY, MEMCG_MEMSW,
        argument, now, number,
    },
    maps::REFUSALS,
    state::{Charge, OutsideRefusal, Refusal, Thread},
    thread,
};

/// A charge was answered.
#[inline(always)]
fn leave(thread: &mut Thread, charge: Charge, taken: bool) {
    let Charge { memcg, counter, pages, fail } = charge;
    // What reclaim charges is no part of the creation.
    if thread.memcg_reclaim.is_under_way() {
        return;
    }
    if taken {
        // What another cgroup has room for says nothing about this one. v1's memory and swap together are
        // charged before memory.
        if thread.refusal.memcg == memcg && counter != memcg + u64::from(MEMCG_MEMSW.load()) {
            thread.refusal.count = 0;
        }
        return;
    }
    let counter = kernel::read_or_zero::<u64>(fail, 0);
    thread.refusal.count = if thread.refusal.memcg == memcg { thread.refusal.count + 1 } else { 1 };
    thread.refusal.memcg = memcg;
    thread.refusal.counter = counter;
    thread.refusal.pages = pages;
    thread.refusal.usage = kernel::read_or_zero(counter, COUNTER_USAGE.load());
    thread.refusal.max = kernel::read_or_zero(counter, COUNTER_MAX.load());
}

/// The memory cgroup that the current task's kernel memory is charged to, if `counter` is one of its; else
/// NULL. On v2 the place of v1's `memsw` holds `swap`, to which reclaim charges what it swaps out.
#[inline(always)]
fn charged(counter: u64) -> u64 {
    let memcg = match cgroup::active_memcg() {
        0 => cgroup::current_memcg(),
        active => active,
    };
    let is = |offset: u32| offset != ABSENT && memcg + u64::from(offset) == counter;
    let of_it = is(MEMCG_MEMORY.load())
        || is(MEMCG_KMEM.load())
        || is(MEMCG_MEMSW.load()) && cgroup::memory_is_on_v1();
    if of_it { memcg } else { 0 }
}

/// A step of the thread's creation has failed: reports its last charge, if that was refused.
#[inline(always)]
pub(super) fn report_refusal(thread: &mut Thread) {
    let refusal = thread.refusal;
    if refusal.count == 0 {
        return;
    }
    thread.refusal.count = 0;
    emit::<ChargeFailed>(thread, |record, head| fill(record, head, refusal));
}

/// So long after it a refused charge is taken for the reason that a step failed.
const RECENT_NS: u64 = 1_000_000_000;

/// Keeps a refused charge of a thread outside creations, for a step that may fail for it.
#[inline(always)]
fn refused_outside(memcg: u64, pages: u64, fail: u64) {
    let tid = thread::tid();
    let at_ns = now();
    let mut count = 1;
    if let Some(before) = REFUSALS.get_ptr(tid) {
        // SAFETY: memory of the map. Should the element be evicted and reused meanwhile, refusals of another
        // thread are added.
        let before = unsafe { &*before };
        if before.refusal.memcg == memcg && at_ns.saturating_sub(before.at_ns) < RECENT_NS {
            count += before.refusal.count;
        }
    }
    let counter = kernel::read_or_zero::<u64>(fail, 0);
    let refusal = Refusal {
        count,
        memcg,
        counter,
        usage: kernel::read_or_zero(counter, COUNTER_USAGE.load()),
        max: kernel::read_or_zero(counter, COUNTER_MAX.load()),
        pages,
    };
    // If it can't be kept, the step's failure has no reason.
    let _ = REFUSALS.insert(tid, OutsideRefusal { at_ns, refusal }, 0);
}

/// A step outside creations has failed: reports the thread's last refused charge, if the cgroup that refused
/// it still has no room for it.
#[inline(always)]
pub(super) fn report_outside() {
    let tid = thread::tid();
    let Some(kept) = REFUSALS.get_ptr(tid) else { return };
    // SAFETY: memory of the map, as above.
    let OutsideRefusal { at_ns, refusal } = unsafe { *kept };
    // Not there any more is as good as removed.
    let _ = REFUSALS.remove(tid);
    let usage = kernel::read_or_zero::<u64>(refusal.counter, COUNTER_USAGE.load());
    let max = kernel::read::<u64>(refusal.counter, COUNTER_MAX.load()).unwrap_or(u64::MAX);
    if now().saturating_sub(at_ns) >= RECENT_NS || usage.saturating_add(refusal.pages) <= max {
        return;
    }
    emit_outside::<ChargeFailed>(|record, head| fill(record, head, refusal));
}

/// Writes the record of a refused charge.
#[inline(always)]
fn fill(record: *mut ChargeFailed, head: Head, refusal: Refusal) {
    // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field is written
    // below before anything reads it; the names' rest is never read.
    let record = unsafe { &mut *record };
    record.head = head;
    record.pages = refusal.pages;
    record.usage = refusal.usage;
    record.max = refusal.max;
    record.refusals = refusal.count as u32;
    let (limit, memcg) = owner(refusal.memcg, refusal.counter);
    record.limit = limit as u32;
    cgroup::record_memcg(memcg, &mut record.cgroup);
}

/// The memory cgroup that refused the thread's last charge; NULL if it was taken, or that is not known.
#[inline(always)]
pub(super) fn refused_by(thread: &Thread) -> u64 {
    let refusal = thread.refusal;
    if refusal.count == 0 { 0 } else { owner(refusal.memcg, refusal.counter).1 }
}

/// The owner of a counter, among the memory cgroup that was charged and those above it.
#[inline(always)]
fn owner(mut memcg: u64, counter: u64) -> (Limit, u64) {
    let is = |memcg: u64, offset: u32| offset != ABSENT && memcg + u64::from(offset) == counter;
    for _ in 0..CGROUP_LEVELS {
        if memcg == 0 {
            break;
        }
        if is(memcg, MEMCG_MEMORY.load()) {
            return (Limit::Memory, memcg);
        }
        if is(memcg, MEMCG_KMEM.load()) {
            return (Limit::Kmem, memcg);
        }
        if is(memcg, MEMCG_MEMSW.load()) {
            return (Limit::MemorySwap, memcg);
        }
        memcg = kernel::read_or_zero(memcg, CSS_PARENT.load());
    }
    (Limit::Unknown, 0)
}

#[fexit]
fn memcg_charge_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the three arguments; of a bool only the low byte counts.
    let taken = number(&ctx, 3) as u8 != 0;
    let thread = thread::creating();
    if taken && thread.is_none() {
        return 0;
    }
    let counter = argument(&ctx, 0);
    let memcg = charged(counter);
    if memcg != 0 {
        let (pages, fail) = (number(&ctx, 1), argument(&ctx, 2));
        match thread {
            Some(thread) => leave(thread, Charge { memcg, counter, pages, fail }, taken),
            None => refused_outside(memcg, pages, fail),
        }
    }
    0
}

#[kprobe]
fn memcg_charge_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(thread) = thread::creating()
        && let (Some(counter), Some(pages), Some(fail)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2))
    {
        let memcg = charged(counter);
        thread.charge = Charge { memcg, counter, pages, fail };
    }
    0
}

#[kretprobe]
fn memcg_charge_kretprobe(ctx: RetProbeContext) -> u32 {
    if let Some(thread) = thread::creating()
        && thread.charge.memcg != 0
    {
        let charge = thread.charge;
        thread.charge.memcg = 0;
        leave(thread, charge, ctx.ret::<u64>() as u8 != 0);
    }
    0
}
