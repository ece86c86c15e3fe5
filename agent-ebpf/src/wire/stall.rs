//! Time that tasks spent on making room for an allocation.
use super::{CgroupPath, Head};

/// Direct compaction returned.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct CompactionEnded {
    /// Task and time.
    pub head: Head,
    /// gfp mask.
    pub gfp: u32,
    /// Order.
    pub order: u32,
    /// `enum compact_result`, by its number.
    pub result: u32,
    /// Always 0.
    pub reserved: u32,
    /// How long the task was in it, in nanoseconds.
    pub stall_ns: u64,
}

/// Direct reclaim returned.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct ReclaimEnded {
    /// Task and time.
    pub head: Head,
    /// gfp mask.
    pub gfp: u32,
    /// Order.
    pub order: u32,
    /// Pages freed.
    pub reclaimed: u64,
    /// How long the task was in it, in nanoseconds.
    pub stall_ns: u64,
}

/// What a creation's charges to a memory cgroup waited for: reclaim of the memory of one that was at its
/// limit. Each record is for all since the one before.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct MemcgReclaimEnded {
    /// Task and time.
    pub head: Head,
    /// How often there was reclaim.
    pub count: u64,
    /// Pages freed in all.
    pub reclaimed: u64,
    /// How long it took in all, in nanoseconds.
    pub stall_ns: u64,
    /// The cgroup that was at its limit last; empty if that is not known.
    pub cgroup: CgroupPath,
}
