//! What is remembered about a thread while it creates a network namespace or allocates.
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_task};
use fragwatch_ebpf::Counter;

use crate::{
    kernel::{self, TASK_START_TIME},
    maps::{CREATING, OUTSIDE, WANT_ALL, count},
};

/// One followed thread.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Thread {
    /// When its creation began; 0 outside one.
    pub(crate) creation_ns: u64,
    /// `task_struct.start_time`, so that a reused thread id is not taken for the old thread.
    pub(crate) task_start: u64,
    /// `alloc_context` of the allocation in the slow path; it lies in that call's frame.
    pub(crate) alloc_context: u64,
    /// gfp mask of that allocation.
    pub(crate) gfp: u32,
    /// Order of that allocation.
    pub(crate) order: u32,
    /// When direct compaction was entered, 0 if it is not in it.
    pub(crate) compaction_since: u64,
    /// When direct reclaim was entered, 0 if it is not in it.
    pub(crate) reclaim_since: u64,
    /// `name` of the slab cache that is being created.
    pub(crate) cache_name: u64,
    /// Object size of the slab cache that is being created.
    pub(crate) cache_size: u64,
    /// `struct pernet_operations` whose init is running.
    pub(crate) pernet_ops: u64,
}

impl Thread {
    fn new(creation_ns: u64) -> Self {
        Self {
            creation_ns,
            task_start: current_start(),
            alloc_context: 0,
            gfp: 0,
            order: 0,
            compaction_since: 0,
            reclaim_since: 0,
            cache_name: 0,
            cache_size: 0,
            pernet_ops: 0,
        }
    }
}

/// The current thread's id in the initial pid namespace.
#[inline(always)]
pub(crate) fn tid() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

fn current_start() -> u64 {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    kernel::read(task, TASK_START_TIME.load()).unwrap_or(0)
}

/// Follows the current thread through a creation that begins now. False if the table is full.
#[inline(always)]
pub(crate) fn begin_creation(now_ns: u64) -> bool {
    let tid = tid();
    if CREATING.get_ptr(&tid).is_some() {
        // Its return was never seen, whosever it was: nothing may be added to it any more.
        count(Counter::UnseenReturns);
    }
    CREATING.insert(tid, Thread::new(now_ns), 0).is_ok()
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
    let thread = CREATING.get_ptr_mut(&tid)?;
    // SAFETY: the slot is live until this program ends (RCU), and only its own thread uses it.
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
    let tid = tid();
    if OUTSIDE.get_ptr(&tid).is_none() {
        OUTSIDE.insert(tid, Thread::new(0), 0).ok()?;
    }
    let thread = OUTSIDE.get_ptr_mut(&tid)?;
    // SAFETY: as in `creating`; an evicted slot is only reused after this program has ended.
    Some(unsafe { &mut *thread })
}
