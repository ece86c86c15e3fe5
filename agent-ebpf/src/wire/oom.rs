//! The OOM killer.
use super::{COMM_LEN, CgroupPath, Head, MAX_FRAMES, numbered};

numbered! {
    /// Whose memory ran out when the OOM killer was called.
    OomScope {
        /// The node's.
        Node,
        /// A memory cgroup's.
        Memcg,
        /// That was not seen.
        Unknown,
    }
}

numbered! {
    /// Whether a process that failed is a victim of the OOM killer.
    Victim {
        /// That was not looked at, or could not be read.
        Unknown,
        /// It is not.
        No,
        /// It is, whichever process asked for memory.
        Yes,
    }
}

/// The OOM killer chose a victim for an allocation of the current task.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct OomKilled {
    /// The calling task and the time.
    pub head: Head,
    /// The victim's process id, 0 if it could not be read.
    pub victim: u32,
    /// 1 if `order` and `gfp` were read.
    pub request_known: u32,
    /// Order of the allocation; -1 for a request by hand (sysrq).
    pub order: i32,
    /// gfp mask of the allocation.
    pub gfp: u32,
    /// An [`OomScope`].
    pub scope: u32,
    /// 1 if every zone that could have served was looked at, as in [`AllocationFailed`].
    pub zones_complete: u32,
    /// When the call was noticed; with the thread's id what connects its zones to it.
    pub failure_ns: u64,
    /// Id of the victim's cgroup in the v2 hierarchy, 0 if it could not be read.
    pub victim_cgroup: u64,
    /// How many [`ZoneRead`] records belong to it.
    pub zone_count: u32,
    /// Used entries of `stack`.
    pub frames: u32,
    /// The victim's name, padded with NULs.
    pub victim_comm: [u8; COMM_LEN],
    /// The memory cgroup, with [`OomScope::Memcg`].
    pub memcg: CgroupPath,
    /// Kernel stack, innermost first.
    pub stack: [u64; MAX_FRAMES],
}
