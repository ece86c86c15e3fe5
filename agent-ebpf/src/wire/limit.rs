//! Limits of cgroups that refused something.
use super::{CgroupPath, Head, numbered};

numbered! {
    /// Which of a memory cgroup's limits refused a charge.
    Limit {
        /// It is not one of a cgroup that the task is in.
        Unknown,
        /// `memory.max`, on v1 `memory.limit_in_bytes`.
        Memory,
        /// v1's `memory.kmem.limit_in_bytes`.
        Kmem,
        /// v1's `memory.memsw.limit_in_bytes`.
        MemorySwap,
    }
}

/// The last charge to a memory cgroup that a failed step of a creation made was refused.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct ChargeFailed {
    /// Task and time.
    pub head: Head,
    /// Pages that were to be charged.
    pub pages: u64,
    /// `usage` of the counter that refused, in pages, right after it did.
    pub usage: u64,
    /// Its `max`.
    pub max: u64,
    /// How often it was refused in a row: the kernel makes room and tries again.
    pub refusals: u32,
    /// A [`Limit`].
    pub limit: u32,
    /// The cgroup whose limit it is; empty if that is not known.
    pub cgroup: CgroupPath,
}

/// A fork was refused because a cgroup has as many processes as it may have.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct ForkRefused {
    /// Task and time.
    pub head: Head,
    /// Processes and threads in it.
    pub processes: u64,
    /// Its `pids.max`.
    pub limit: u64,
    /// The cgroup whose limit it is; empty if that is not known.
    pub cgroup: CgroupPath,
}
