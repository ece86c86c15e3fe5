//! What was seen, one typed stream whatever its source. Addresses and numbers are already names
//! here, so that no consumer of events needs a kernel.
mod allocation;
mod cgroup;
mod charge;
mod failed_step;
mod fork;
mod namespace;
mod oom_kill;

pub use self::{
    allocation::{CompactResult, Failure, Omitted},
    cgroup::{CgroupPath, CgroupSetup},
    charge::{ChargeFailed, LimitKind},
    failed_step::{FailedStep, StartStep},
    fork::ForkRefused,
    namespace::NamespaceKind,
    oom_kill::{OomKill, OomScope},
};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::model::{frame::Frame, gfp::Gfp, repeats::CountedStep};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// The thread's name. It comes from outside: may hold anything but NUL.
    pub comm: String,
    /// Id of its cgroup in the tasks' hierarchy: the memory controller's where that has one of its own
    /// (v1), else v2's.
    pub cgroup_id: u64,
    /// Who is responsible for it: the owner of its outermost user namespace below the initial one or, in the
    /// initial one, its real user id. `None` if that was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
}

/// Which creation something belongs to: a thread can't begin two at the same nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CreationKey {
    /// When it began, `CLOCK_MONOTONIC` in nanoseconds.
    pub began_ns: u64,
    /// The thread.
    pub tid: u32,
}

/// One thing that was seen.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// The creation that it belongs to, if it was inside one.
    pub creation: Option<CreationKey>,
    /// Who.
    pub task: Task,
    /// What.
    pub kind: EventKind,
}

/// What was seen.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A container's namespaces were made, a network's or a pid namespace among them, or could not be:
    /// a creation ended.
    NetnsSetupEnded {
        /// The error as a positive errno.
        errno: Option<i32>,
        /// Inode of the new namespace.
        netns: Option<u32>,
        /// Events of this creation were lost.
        lost: bool,
        /// What was only counted.
        #[serde(default, skip_serializing_if = "Omitted::is_none")]
        omitted: Omitted,
        /// The task's cgroup: the memory controller's where that has a hierarchy of its own (v1),
        /// else the v2 one.
        cgroup: CgroupPath,
        /// Flags of the system call that does it, where that is all that is seen: then the
        /// creation is the whole call.
        call_flags: Option<u64>,
        /// The namespaces that were to be made, as `CLONE_NEW*` flags, as far as they are seen.
        namespaces: u64,
        /// After an error, whether the process is a victim of the OOM killer.
        #[serde(default)]
        oom_victim: Option<bool>,
    },
    /// An allocation entered the slow path, which is not a failure.
    SlowPathEntered {
        /// gfp mask.
        gfp: Gfp,
        /// Order.
        order: u32,
    },
    /// An allocation failed.
    AllocationFailed {
        /// gfp mask.
        gfp: Gfp,
        /// Order.
        order: u32,
        /// The moment of the failure.
        failure: Failure,
    },
    /// An allocation begins to wait, in direct compaction or reclaim.
    StallBegan {
        /// gfp mask.
        gfp: Gfp,
        /// Order.
        order: u32,
        /// The moment before room is made.
        failure: Failure,
    },
    /// Direct compaction returned.
    CompactionEnded {
        /// gfp mask.
        gfp: Gfp,
        /// Order.
        order: u32,
        /// What it came to.
        result: CompactResult,
        /// How long the task was in it, in nanoseconds.
        stall_ns: u64,
    },
    /// Direct reclaim returned.
    ReclaimEnded {
        /// gfp mask.
        gfp: Gfp,
        /// Order.
        order: u32,
        /// Pages it freed.
        reclaimed: u64,
        /// How long the task was in it, in nanoseconds.
        stall_ns: u64,
    },
    /// Reclaim of a memory cgroup's memory returned: a charge to it had found no room. It may
    /// have found some then.
    MemcgReclaimEnded {
        /// How often it was reclaimed.
        #[serde(default = "once")]
        count: u64,
        /// Pages that this freed in all.
        reclaimed: u64,
        /// How long the task was in it in all, in nanoseconds.
        stall_ns: u64,
        /// Path of the cgroup that was at its limit last, if that is known.
        #[serde(default)]
        memcg: Option<String>,
    },
    /// A slab cache was created, or could not be.
    SlabCacheCreated {
        /// Its name. It comes from outside: may hold anything but NUL.
        name: String,
        /// Object size in bytes.
        size: u32,
        /// It failed.
        failed: bool,
    },
    /// A subsystem's per-netns initialisation failed.
    PernetInitFailed {
        /// Its function.
        init: Option<Frame>,
        /// The error as a positive errno; `None` if it is not seen: the creation fails with the same.
        errno: Option<i32>,
    },
    /// A charge to a memory cgroup failed.
    ChargeFailed(ChargeFailed),
    /// The OOM killer chose a victim.
    OomKill(OomKill),
    /// A limit on namespaces refused one.
    NamespaceRefused(NamespaceKind),
    /// Making a cgroup failed, or met trouble.
    CgroupSetupEnded(CgroupSetup),
    /// A step of a creation ended, and its full record was lost.
    BriefEnd {
        /// Which step.
        step: CountedStep,
        /// The error as a positive errno.
        errno: Option<i32>,
        /// As in [`EventKind::NetnsSetupEnded`].
        namespaces: u64,
    },
    /// A limit on processes refused a fork.
    ForkRefused(ForkRefused),
    /// A step that only failures are seen of has failed.
    StepFailed(FailedStep),
    /// A cgroup was made.
    CgroupMade {
        /// Its id.
        id: u64,
        /// Its path.
        path: CgroupPath,
    },
    /// A cgroup has a new name (v1 only).
    CgroupRenamed {
        /// Its id.
        id: u64,
        /// Its path from now on.
        path: CgroupPath,
    },
    /// A cgroup was removed.
    CgroupRemoved {
        /// Its id.
        id: u64,
    },
}

/// Captures of earlier versions have an event for each reclaim.
fn once() -> u64 {
    1
}
