//! What is remembered about a thread while it creates a network namespace or allocates.
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_task};
use fragwatch_ebpf::Counter;

use crate::{
    emit::now,
    kernel::{self, TASK_START_TIME, WANT_ALL},
    maps::{CREATING, OUTSIDE, count},
    zones::Walk,
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
    /// Direct compaction under way.
    pub(crate) compaction: Stall,
    /// Direct reclaim under way.
    pub(crate) reclaim: Stall,
    /// Reclaim of a memory cgroup's memory under way.
    pub(crate) memcg_reclaim: Stall,
    /// `name` of the slab cache that is being created.
    pub(crate) cache_name: u64,
    /// Object size of the slab cache that is being created.
    pub(crate) cache_size: u64,
    /// `struct pernet_operations` whose init is running.
    pub(crate) pernet_ops: u64,
    /// When that init was entered.
    pub(crate) pernet_since: u64,
    /// Failures of its creation whose mask says that the caller has a fallback.
    pub(crate) fallbacks: u64,
    /// The walk over the zones of the allocation that failed.
    pub(crate) walk: Walk,
    /// The last charge to a memory cgroup, if it was refused.
    pub(crate) refusal: Refusal,
    /// What opened its creation.
    pub(crate) opener: Opener,
    /// Whether the creation's own record is worth having: something in it failed or stalled.
    pub(crate) troubled: u32,
    /// The namespaces that the creation makes, as `CLONE_NEW*` flags.
    pub(crate) namespaces: u64,
    /// `struct kernfs_node` in which a cgroup is being made.
    pub(crate) cgroup_parent: u64,
    /// Its name.
    pub(crate) cgroup_name: u64,
    /// The error with which the memory controller refused that cgroup, 0 if it did not.
    pub(crate) memory_errno: i64,
    /// Records of this creation for which the ring had no room.
    pub(crate) lost: u64,
}

/// What a creation begins with, and so whose return ends it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Opener {
    /// `copy_net_ns`, or a system call around it.
    Netns,
    /// `create_new_namespaces`
    Namespaces,
    /// `cgroup_mkdir`
    Cgroup,
}

/// What new elements are copied from: on a program's stack, of 512 bytes with all that it calls, it
/// would take most of the room.
static BLANK: &Thread = &Thread::BLANK;

/// A charge to a memory cgroup that was refused.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Refusal {
    /// How often in a row; 0 if the last charge was taken.
    pub(crate) count: u64,
    /// `struct page_counter` that had no room.
    pub(crate) counter: u64,
    /// Its `usage` in pages, right after.
    pub(crate) usage: u64,
    /// Its `max` in pages.
    pub(crate) max: u64,
    /// Pages that were to be charged.
    pub(crate) pages: u64,
    /// Where the kernel will write the counter, while only a kretprobe will see the return; else 0.
    pub(crate) fail: u64,
}

impl Refusal {
    /// The last charge was taken.
    pub(crate) const NONE: Self =
        Self { count: 0, counter: 0, usage: 0, max: 0, pages: 0, fail: 0 };
}

/// No single compaction or reclaim takes this long.
const STALL_LIMIT_NS: u64 = 10_000_000_000;

/// Time spent on making room for an allocation.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Stall {
    /// When it began; 0 if none is under way.
    pub(crate) since: u64,
    /// gfp mask of the allocation that it is for.
    pub(crate) gfp: u32,
    /// Order of that allocation.
    pub(crate) order: u32,
}

impl Stall {
    const NONE: Self = Self { since: 0, gfp: 0, order: 0 };

    /// Takes note that the allocation of this mask and order is out of it. True if that was news.
    #[inline(always)]
    fn ended_unseen(&mut self, gfp: u32, order: u32) -> bool {
        let news = self.since != 0 && self.gfp == gfp && self.order == order;
        if news {
            self.since = 0;
        }
        news
    }

    /// A return that a kretprobe missed must not silence the thread for good.
    fn is_under_way(&self) -> bool {
        self.since != 0 && now().saturating_sub(self.since) < STALL_LIMIT_NS
    }
}

impl Thread {
    /// One that nothing is known of.
    const BLANK: Self = Self {
        creation_ns: 0,
        task_start: 0,
        alloc_context: 0,
        gfp: 0,
        order: 0,
        compaction: Stall::NONE,
        reclaim: Stall::NONE,
        memcg_reclaim: Stall::NONE,
        cache_name: 0,
        cache_size: 0,
        pernet_ops: 0,
        pernet_since: 0,
        fallbacks: 0,
        walk: Walk::NONE,
        refusal: Refusal::NONE,
        opener: Opener::Netns,
        troubled: 0,
        namespaces: 0,
        cgroup_parent: 0,
        cgroup_name: 0,
        memory_errno: 0,
        lost: 0,
    };

    /// Whether the thread is inside compaction or reclaim: what it allocates there is the memory
    /// manager's own business, and must not be taken for the allocation that waits.
    pub(crate) fn is_stalled(&self) -> bool {
        self.compaction.is_under_way()
            || self.reclaim.is_under_way()
            || self.memcg_reclaim.is_under_way()
    }

    /// Whether the thread is inside compaction or reclaim for another allocation than this one.
    /// If it is for this one, it has come back, and its return was missed.
    #[inline(always)]
    pub(crate) fn is_stalled_for_another(&mut self, gfp: u32, order: u32) -> bool {
        // One after the other: Linux 5.10's verifier doesn't follow pointers in an array.
        let missed =
            self.compaction.ended_unseen(gfp, order) | self.reclaim.ended_unseen(gfp, order);
        if missed {
            self.lost += 1;
            count(Counter::UnseenReturns);
        }
        self.is_stalled()
    }
}

impl Thread {
    /// Whether a return inside the creation was never seen: all that began in it has ended when it
    /// ends.
    pub(crate) fn has_open_ends(&self) -> bool {
        self.compaction.since != 0
            || self.reclaim.since != 0
            || self.cache_name != 0
            || self.pernet_ops != 0
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
pub(crate) fn begin_creation(now_ns: u64, opener: Opener, namespaces: u64) -> bool {
    let tid = tid();
    if CREATING.get_ptr(tid).is_some() {
        // The earlier creation's return was never seen: nothing may be added to it any more.
        count(Counter::UnseenReturns);
    }
    if CREATING.insert(tid, BLANK, 0).is_err() {
        return false;
    }
    let Some(thread) = CREATING.get_ptr_mut(tid) else { return false };
    // SAFETY: the slot is this thread's own, which is in the kernel and so can't remove it.
    let thread = unsafe { &mut *thread };
    thread.creation_ns = now_ns;
    thread.task_start = current_start();
    thread.opener = opener;
    thread.namespaces = namespaces;
    true
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
