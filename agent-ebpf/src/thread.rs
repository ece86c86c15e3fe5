//! Following threads: while they create a container's namespaces or a cgroup, or allocate.
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_task},
};
use fragwatch_ebpf::{Counter, Victim};

use crate::{
    counters::count,
    kernel::{self, SIGNAL_OOM_MM, TASK_SIGNAL, TASK_START_TIME, WANT_ALL, now},
    maps::{CREATING, OUTSIDE},
    state::{Opener, Thread},
};

/// What new elements are copied from: on a program's stack, of 512 bytes with all that it calls, it
/// would take most of the room.
static BLANK: &Thread = &Thread::BLANK;

/// The current thread's id in the initial pid namespace.
#[inline(always)]
pub(crate) fn tid() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// The current process's id in the initial pid namespace.
#[inline(always)]
pub(crate) fn tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

fn current_start() -> u64 {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    kernel::read_or_zero(task, TASK_START_TIME.load())
}

/// Whether the current process is a victim of the OOM killer, whichever process asked for memory, alone or with its
/// cgroup (`memory.oom.group`): `mark_oom_victim` (mm/oom_kill.c) sets `signal->oom_mm`, and nothing clears it.
#[inline(always)]
pub(crate) fn oom_victim() -> Victim {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    let signal = kernel::read_or_zero::<u64>(task, TASK_SIGNAL.load());
    match kernel::read::<u64>(signal, SIGNAL_OOM_MM.load()) {
        None => Victim::Unknown,
        Some(0) => Victim::No,
        Some(_) => Victim::Yes,
    }
}

/// Follows the current thread through a creation that begins now. `None`, and counted, if the table
/// is full.
#[inline(always)]
pub(crate) fn begin_creation<'a>(opener: Opener) -> Option<&'a mut Thread> {
    let tid = tid();
    if CREATING.insert(tid, BLANK, u64::from(BPF_NOEXIST)).is_err() {
        if CREATING.get_ptr(tid).is_none() {
            count(Counter::UntrackedCreations);
            return None;
        }
        // The earlier creation's return was never seen: nothing may be added to it any more.
        count(Counter::UnseenReturns);
        CREATING.insert(tid, BLANK, 0).ok()?;
    }
    let thread = CREATING.get_ptr_mut(tid)?;
    // SAFETY: the slot is this thread's own, which is in the kernel and so can't remove it.
    let thread = unsafe { &mut *thread };
    thread.creation_ns = now();
    thread.task_start = current_start();
    thread.opener = opener;
    Some(thread)
}

/// A creation of the current thread whose return was never seen is over at the latest now.
#[inline(always)]
pub(crate) fn drop_stale_creation() {
    if CREATING.get_ptr(tid()).is_some() {
        count(Counter::UnseenReturns);
        end_creation();
    }
}

/// A record of the current thread's creation was lost.
#[inline(always)]
pub(crate) fn note_lost() {
    if let Some(thread) = CREATING.get_ptr_mut(tid()) {
        // SAFETY: the slot is this thread's own, which is in the kernel and so can't remove it.
        unsafe { (*thread).lost += 1 };
    }
}

/// Stops following the current thread.
#[inline(always)]
pub(crate) fn end_creation() {
    // Not there any more is as good as removed.
    let _ = CREATING.remove(tid());
}

/// The current thread, if it is inside a creation.
#[inline(always)]
pub(crate) fn creating<'a>() -> Option<&'a mut Thread> {
    let tid = tid();
    let thread = CREATING.get_ptr_mut(tid)?;
    // SAFETY: the slot is this thread's own: only programs that run on the thread use it, and it is
    // removed only by them.
    let thread = unsafe { &mut *thread };
    if thread.task_start != current_start() {
        count(Counter::UnseenReturns);
        let _ = CREATING.remove(tid);
        return None;
    }
    Some(thread)
}

/// The current thread as an allocator: inside a creation or, with `--all`, anywhere. Otherwise the
/// event is counted as `outside` and forgotten.
#[inline(always)]
pub(crate) fn allocating<'a>(outside: Counter) -> Option<&'a mut Thread> {
    if let Some(thread) = creating() {
        return Some(thread);
    }
    count(outside);
    watched_outside()
}

/// The current thread as an allocator outside creations, with `--all` only.
#[inline(always)]
pub(crate) fn watched_outside<'a>() -> Option<&'a mut Thread> {
    if WANT_ALL.load() == 0 {
        return None;
    }
    outside()
}

/// The current thread outside creations, for what is rare enough to be always reported.
#[inline(always)]
pub(crate) fn outside<'a>() -> Option<&'a mut Thread> {
    let tid = tid();
    // The idle tasks of all CPUs share this id; what interrupts do on them is only counted.
    if tid == 0 {
        return None;
    }
    let start = current_start();
    if let Some(thread) = OUTSIDE.get_ptr_mut(tid) {
        // SAFETY: memory of the map. An element that is evicted meanwhile may be reused for
        // another thread; then a stall or a context of this one is lost, and what belongs to
        // another start time is not used.
        let thread = unsafe { &mut *thread };
        if thread.task_start == start {
            return Some(thread);
        }
    }
    OUTSIDE.insert(tid, BLANK, 0).ok()?;
    let thread = OUTSIDE.get_ptr_mut(tid)?;
    // SAFETY: as above.
    let thread = unsafe { &mut *thread };
    thread.task_start = start;
    Some(thread)
}
