//! What the programs keep in maps: of followed threads, and of failures that repeat or belong together.
use fragwatch_ebpf::{Counter, Step};

use crate::{counters::count, kernel::now};

/// One followed thread.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Thread {
    /// When its creation began; 0 outside one.
    pub(crate) creation_ns: u64,
    /// `task_struct.start_time`, so that a reused thread id is not taken for the old thread.
    pub(crate) task_start: u64,
    /// Address of the `alloc_context` of the allocation in the slow path, by which a retry is recognised;
    /// 0 where it is not seen.
    pub(crate) alloc_context: u64,
    /// gfp mask of that allocation; 0 if none is under way.
    pub(crate) gfp: u32,
    /// Order of that allocation.
    pub(crate) order: u32,
    /// Direct compaction under way.
    pub(crate) compaction: Stall,
    /// Direct reclaim under way.
    pub(crate) reclaim: Stall,
    /// Reclaim of a memory cgroup's memory under way.
    pub(crate) memcg_reclaim: Stall,
    /// Such reclaim of its creation that has ended, and is not recorded.
    pub(crate) memcg_reclaims: MemcgReclaims,
    /// Mask and order of the allocation whose begin of a stall was recorded last, as one number; 0 if it is
    /// over.
    pub(crate) stall_recorded: u64,
    /// How many were, in its creation.
    pub(crate) stalls_recorded: u64,
    /// `name` of the slab cache that is being created.
    pub(crate) cache_name: u64,
    /// Object size of the slab cache that is being created.
    pub(crate) cache_size: u64,
    /// `struct pernet_operations` whose init is running, while only a kretprobe will see its return;
    /// else 0.
    pub(crate) pernet_ops: u64,
    /// Failures of its creation that were not recorded.
    pub(crate) omitted: u64,
    /// Time in direct compaction and reclaim that was not recorded, in nanoseconds.
    pub(crate) omitted_stall_ns: u64,
    /// The walk over the zones of the allocation that failed.
    pub(crate) walk: Walk,
    /// The last charge to a memory cgroup, if it was refused.
    pub(crate) refusal: Refusal,
    /// The charge under way, while only a kretprobe will see its return.
    pub(crate) charge: Charge,
    /// What opened its creation.
    pub(crate) opener: Opener,
    /// 1 if a record of its creation was sent, so that its end has to be recorded too.
    pub(crate) recorded: u32,
    /// The namespaces that the creation makes, as `CLONE_NEW*` flags.
    pub(crate) namespaces: u64,
    /// Flags of the system call, where that is all that is seen of the creation; else 0.
    pub(crate) call_flags: u64,
    /// `struct kernfs_node` in which a cgroup is being made.
    pub(crate) cgroup_parent: u64,
    /// Its name.
    pub(crate) cgroup_name: u64,
    /// The error with which the memory controller refused that cgroup, 0 if it did not.
    pub(crate) memory_errno: i64,
    /// Records of this creation for which the ring had no room.
    pub(crate) lost: u64,
    /// The kind of a namespace that a user's limit refused, as the kernel numbers it, plus 1; else 0.
    pub(crate) refused: u64,
    /// Whether its records are sent, once there are any.
    pub(crate) details: Details,
}

/// Whether what happens in a creation is recorded in detail.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Details {
    /// Nothing was to be recorded yet.
    Undecided,
    /// It is.
    Recorded,
    /// Its user, or its cgroup, has had too many.
    Omitted,
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

impl Opener {
    /// The [`Step`] that it begins, by its number.
    #[inline(always)]
    pub(crate) fn step(self) -> u32 {
        match self {
            Self::Netns | Self::Namespaces => Step::Namespaces as u32,
            Self::Cgroup => Step::Cgroup as u32,
        }
    }
}

/// Reclaim of a memory cgroup's memory for the charges of a creation, since it was recorded last.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct MemcgReclaims {
    /// How long that took which is recorded, in nanoseconds; 0 if nothing is.
    pub(crate) recorded_ns: u64,
    /// How often.
    pub(crate) count: u64,
    /// Pages freed in all.
    pub(crate) reclaimed: u64,
    /// How long it took in all, in nanoseconds.
    pub(crate) stall_ns: u64,
}

impl MemcgReclaims {
    /// There was none.
    pub(crate) const NONE: Self = Self { recorded_ns: 0, count: 0, reclaimed: 0, stall_ns: 0 };
}

/// A charge to a memory cgroup that was refused.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Refusal {
    /// How often in a row; 0 if the last charge was taken.
    pub(crate) count: u64,
    /// `struct mem_cgroup` that was to be charged.
    pub(crate) memcg: u64,
    /// `struct page_counter` that had no room.
    pub(crate) counter: u64,
    /// Its `usage` in pages, right after.
    pub(crate) usage: u64,
    /// Its `max` in pages.
    pub(crate) max: u64,
    /// Pages that were to be charged.
    pub(crate) pages: u64,
}

impl Refusal {
    /// The last charge was taken.
    pub(crate) const NONE: Self =
        Self { count: 0, memcg: 0, counter: 0, usage: 0, max: 0, pages: 0 };
}

/// A charge to a memory cgroup that was not answered yet.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Charge {
    /// `struct mem_cgroup`; NULL if none is under way.
    pub(crate) memcg: u64,
    /// Its `struct page_counter` that is asked.
    pub(crate) counter: u64,
    /// How many pages.
    pub(crate) pages: u64,
    /// Where the kernel will write the counter that has no room.
    pub(crate) fail: u64,
}

impl Charge {
    /// None is under way.
    const NONE: Self = Self { memcg: 0, counter: 0, pages: 0, fail: 0 };
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
    pub(crate) fn is_under_way(&self) -> bool {
        self.since != 0 && now().saturating_sub(self.since) < STALL_LIMIT_NS
    }
}

impl Thread {
    /// One that nothing is known of.
    pub(crate) const BLANK: Self = Self {
        creation_ns: 0,
        task_start: 0,
        alloc_context: 0,
        gfp: 0,
        order: 0,
        compaction: Stall::NONE,
        reclaim: Stall::NONE,
        memcg_reclaim: Stall::NONE,
        memcg_reclaims: MemcgReclaims::NONE,
        stall_recorded: 0,
        stalls_recorded: 0,
        cache_name: 0,
        cache_size: 0,
        pernet_ops: 0,
        omitted: 0,
        omitted_stall_ns: 0,
        walk: Walk::NONE,
        refusal: Refusal::NONE,
        charge: Charge::NONE,
        opener: Opener::Netns,
        recorded: 0,
        namespaces: 0,
        call_flags: 0,
        cgroup_parent: 0,
        cgroup_name: 0,
        memory_errno: 0,
        lost: 0,
        refused: 0,
        details: Details::Undecided,
    };

    /// Whether the thread is inside compaction or reclaim: what it allocates there is the memory
    /// manager's own business, and must not be taken for the allocation that waits.
    pub(crate) fn is_stalled(&self) -> bool {
        self.compaction.is_under_way()
            || self.reclaim.is_under_way()
            || self.memcg_reclaim.is_under_way()
    }

    /// Whether the thread is inside compaction or reclaim for an allocation of another mask or order.
    #[inline(always)]
    pub(crate) fn waits_for_another(&self, gfp: u32, order: u32) -> bool {
        let is_for_another =
            |stall: &Stall| (stall.gfp != gfp || stall.order != order) && stall.is_under_way();
        is_for_another(&self.compaction)
            || is_for_another(&self.reclaim)
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
    /// Time in compaction and reclaim of its creation that was not recorded, in nanoseconds.
    #[inline(always)]
    pub(crate) fn unrecorded_stall_ns(&self) -> u64 {
        self.omitted_stall_ns.saturating_add(self.memcg_reclaims.stall_ns)
    }

    /// Whether a return inside the creation was never seen: all that began in it has ended when it
    /// ends.
    pub(crate) fn has_open_ends(&self) -> bool {
        self.compaction.since != 0
            || self.reclaim.since != 0
            || self.cache_name != 0
            || self.pernet_ops != 0
    }
}

/// Where the walk over an allocation's zones stands. It lies in the thread's slot, since each zone
/// is read by a program of its own.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Walk {
    /// The `struct zoneref` to look at next; 0 if no walk is under way.
    pub(crate) zoneref: u64,
    /// `nodemask_t` of the allocation; NULL if any node may serve.
    pub(crate) nodemask: u64,
    /// The index of the highest zone that may serve.
    pub(crate) highest: u32,
    /// Zones recorded so far.
    pub(crate) count: u32,
    /// When the failure was noticed.
    pub(crate) failure_ns: u64,
    /// gfp mask of the allocation that failed.
    pub(crate) gfp: u32,
    /// Its order.
    pub(crate) order: u32,
    /// `struct oom_control` if the walk is for a call of the OOM killer; it lies in the frame of the
    /// function whose probe we are in. Else 0.
    pub(crate) oom_control: u64,
    /// 1 if it is for an allocation that begins to wait, and has not failed. Else 0.
    pub(crate) stall: u64,
}

impl Walk {
    /// No walk is under way.
    pub(crate) const NONE: Self = Self {
        zoneref: 0,
        nodemask: 0,
        highest: 0,
        count: 0,
        failure_ns: 0,
        gfp: 0,
        order: 0,
        oom_control: 0,
        stall: 0,
    };
}

/// Failures alike, of a creation or outside creations.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Repeated {
    /// When the creation began, or the period in which they were outside of one.
    pub(crate) period: u64,
    /// How many of them.
    pub(crate) count: u64,
}

/// An error that another hook has reported.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Reported {
    /// When, `CLOCK_MONOTONIC` in nanoseconds.
    pub(crate) at_ns: u64,
    /// The negative errno.
    pub(crate) errno: i64,
}

/// A refused charge of a thread outside creations. That a later one was taken is not seen there.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct OutsideRefusal {
    /// When it was refused last, `CLOCK_MONOTONIC` in nanoseconds.
    pub(crate) at_ns: u64,
    /// The charge.
    pub(crate) refusal: Refusal,
}
