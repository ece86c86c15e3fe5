//! Time that tasks spent on making room for an allocation.
use super::Head;

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

/// Reclaim of a memory cgroup's memory returned, inside a creation.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(transparent)]
pub struct MemcgReclaimEnded(pub ReclaimEnded);
