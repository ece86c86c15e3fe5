//! What was seen, one typed stream whatever its source. Addresses and numbers are already names
//! here, so that whatever reads evidence needs no kernel.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::model::{frame::Frame, gfp::Gfp, zone::Zone};

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
    /// A container's namespaces are being made, a network's or a pid namespace among them: a creation
    /// begins.
    NetnsSetupBegan {
        /// The task's cgroup: the memory controller's where that has a hierarchy of its own (v1),
        /// else the v2 one.
        cgroup: CgroupPath,
        /// Flags of the system call that does it, where that is all that is seen: then the
        /// creation is the whole call.
        call_flags: Option<u64>,
        /// The namespaces that are made, as `CLONE_NEW*` flags, as far as they are seen.
        #[serde(default)]
        namespaces: u64,
    },
    /// That returned.
    NetnsSetupEnded {
        /// The error as a positive errno.
        errno: Option<i32>,
        /// Inode of the new namespace.
        netns: Option<u32>,
        /// Events of this creation were lost.
        lost: bool,
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
        /// gfp mask of the charge.
        gfp: Gfp,
        /// Order, 0 on all known kernels.
        order: u32,
        /// Pages it freed.
        reclaimed: u64,
        /// How long the task was in it, in nanoseconds.
        stall_ns: u64,
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
        /// When it was entered, `CLOCK_MONOTONIC` in nanoseconds; `None` if that was not seen.
        began_ns: Option<u64>,
        /// Its function.
        init: Option<Frame>,
        /// The error as a positive errno.
        errno: i32,
    },
    /// A charge to a memory cgroup failed.
    ChargeFailed(ChargeFailed),
    /// The OOM killer chose a victim.
    OomKill(OomKill),
    /// A limit on namespaces refused one.
    NamespaceRefused(NamespaceKind),
    /// Making a cgroup failed, or met trouble.
    CgroupSetupEnded(CgroupSetup),
    /// A limit on processes refused a fork.
    ForkRefused(ForkRefused),
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

/// A charge to a memory cgroup that came back with an error.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeFailed {
    /// Path of the memory cgroup that was to be charged, as far as it is known.
    pub memcg: Option<String>,
    /// Which of its limits refused, if that is known.
    pub limit_kind: Option<LimitKind>,
    /// gfp mask of the charge, if it is known.
    pub gfp: Option<Gfp>,
    /// How much was to be charged, in bytes.
    pub bytes: Option<u64>,
    /// What the cgroup whose limit it hit was using then, in bytes.
    pub usage: Option<u64>,
    /// That limit, in bytes.
    pub limit: Option<u64>,
    /// How often it was refused in a row, if that was counted: the kernel makes room and tries
    /// again.
    pub refusals: Option<u32>,
    /// The error as a positive errno.
    pub errno: i32,
}

/// One of a memory cgroup's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// `memory.max`, on v1 `memory.limit_in_bytes`.
    Memory,
    /// v1's `memory.kmem.limit_in_bytes`.
    Kmem,
    /// v1's `memory.memsw.limit_in_bytes`.
    MemorySwap,
}

impl LimitKind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Kmem => "kmem",
            Self::MemorySwap => "memory+swap",
        }
    }
}

/// A call of the OOM killer, and the process that it killed. A call with several victims is as many
/// of these.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OomKill {
    /// The victim's process id, if it is known.
    pub pid: Option<u32>,
    /// The victim's name, from outside; `None` if no victim was found, or it is not known.
    pub comm: Option<String>,
    /// Order of the allocation that called the OOM killer, if it is known; -1 is a request by hand
    /// (sysrq).
    pub order: Option<i32>,
    /// gfp mask of that allocation, if it is known.
    pub gfp: Option<Gfp>,
    /// Whose memory ran out.
    pub scope: OomScope,
    /// A page fault came back with "no memory" (mm/oom_kill.c `pagefault_out_of_memory`): the mask
    /// and the order are not those of the allocation that failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub page_fault: bool,
    /// A cpuset or memory policy bounded the search for memory.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bounded: bool,
    /// Id of the victim's cgroup, as in [`Task::cgroup_id`], if it is known.
    pub cgroup_id: Option<u64>,
    /// What was read when the OOM killer was called.
    pub failure: Option<Failure>,
}

/// A kind of namespace that users can have a limit on (`enum ucount_type`, the same from 5.6 to 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceKind {
    /// user
    User,
    /// pid
    Pid,
    /// uts
    Uts,
    /// ipc
    Ipc,
    /// network
    Net,
    /// mount
    Mount,
    /// cgroup
    Cgroup,
    /// time
    Time,
    /// One that we have no name for.
    Other(u32),
}

impl NamespaceKind {
    /// By its number.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::User,
            1 => Self::Pid,
            2 => Self::Uts,
            3 => Self::Ipc,
            4 => Self::Net,
            5 => Self::Mount,
            6 => Self::Cgroup,
            7 => Self::Time,
            other => Self::Other(other),
        }
    }

    /// As its limit `user.max_<name>_namespaces` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Pid => "pid",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::Net => "net",
            Self::Mount => "mnt",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
            Self::Other(_) => "unknown",
        }
    }
}

/// A cgroup that could not be made, or that was made with trouble.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupSetup {
    /// The cgroup that it was to be made in.
    pub parent: CgroupPath,
    /// Its own name, from outside.
    pub name: String,
    /// The error as a positive errno.
    pub errno: Option<i32>,
    /// The error with which the memory controller refused it, as a positive errno.
    pub memory_errno: Option<i32>,
    /// Events of it were lost.
    pub lost: bool,
}

impl CgroupSetup {
    /// The path that it has, or would have had.
    pub fn path(&self) -> CgroupPath {
        let mut path = self.parent.clone();
        path.names.push(self.name.clone());
        path
    }
}

/// A fork that was refused because a cgroup has as many processes as it may have.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForkRefused {
    /// The cgroup whose limit it is, if that was seen.
    pub cgroup: Option<String>,
    /// Processes and threads in it.
    pub processes: Option<u64>,
    /// Its limit.
    pub limit: Option<u64>,
    /// How many forks were refused, where only their number is known.
    pub times: Option<u64>,
}

/// Whose memory ran out when the OOM killer was called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OomScope {
    /// The node's, or a part of the node's that a cpuset or memory policy allows.
    Node,
    /// A memory cgroup's, by its path where that is known.
    Memcg(Option<String>),
    /// That was not seen.
    #[default]
    Unknown,
}

/// A cgroup's path from the root of its hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupPath {
    /// Directory names, root first.
    pub names: Vec<String>,
    /// Attributions nearer to the root are missing.
    pub truncated: bool,
}

impl CgroupPath {
    /// A path from the root, `/a/b`.
    pub fn parse(path: &str) -> Self {
        let names = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self { names, truncated: false }
    }

    /// As a path from the root; `/…/` at its beginning where names are missing.
    pub fn display(&self) -> String {
        let start = if self.truncated { "/…/" } else { "/" };
        format!("{start}{}", self.names.join("/"))
    }
}

/// What was read at the moment an allocation failed, or had the OOM killer called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// Kernel stack, innermost first; empty if it could not be taken.
    pub stack: Vec<Frame>,
    /// The zones that it could have used, as far as they were read.
    pub zones: Vec<Zone>,
    /// These are all of them.
    pub zones_complete: bool,
}

/// `enum compact_result` (5.10–7.2; include/linux/compaction.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactResult {
    /// Not worth trying.
    Skipped,
    /// Put off after earlier failures.
    Deferred,
    /// No page to move.
    NoSuitablePage,
    /// All of the zone was gone through without a block.
    Complete,
    /// A part of the zone was gone through without a block.
    PartialSkipped,
    /// Given up because others waited for a lock.
    Contended,
    /// A block was made.
    Success,
    /// A number that we have no name for.
    Other(u32),
}

impl CompactResult {
    /// By its number; 0, 4 and above 8 are not results that direct compaction returns.
    pub fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Skipped,
            2 => Self::Deferred,
            3 => Self::NoSuitablePage,
            5 => Self::Complete,
            6 => Self::PartialSkipped,
            7 => Self::Contended,
            8 => Self::Success,
            other => Self::Other(other),
        }
    }

    /// In a word or two.
    pub fn describe(self) -> String {
        match self {
            Self::Skipped => "skipped".to_owned(),
            Self::Deferred => "deferred".to_owned(),
            Self::NoSuitablePage => "no suitable page".to_owned(),
            Self::Complete => "complete".to_owned(),
            Self::PartialSkipped => "partly skipped".to_owned(),
            Self::Contended => "contended".to_owned(),
            Self::Success => "success".to_owned(),
            Self::Other(number) => format!("result {number}"),
        }
    }
}
