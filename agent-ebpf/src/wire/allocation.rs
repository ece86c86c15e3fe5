//! Page allocations in the slow path.
use super::Head;

/// Failures in one creation with the same mask and order that are recorded although the mask says that the
/// caller has a fallback. There can be hundreds, which would fill the ring: the others are counted.
pub const MAX_FALLBACKS: u32 = 8;
/// Failures outside creations with the same mask and order that are recorded in a second; the others are
/// counted.
pub const MAX_REPEATED: u32 = 8;
/// Kernel stack frames recorded for one failed allocation.
pub const MAX_FRAMES: usize = 40;

/// A page allocation entered the slow path. This is not a failure.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct SlowPathEntered {
    /// Task and time.
    pub head: Head,
    /// gfp mask.
    pub gfp: u32,
    /// Order.
    pub order: u32,
}

/// Direct compaction or reclaim begins for an allocation: what a failure would show, read before.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(transparent)]
pub struct StallBegan(pub AllocationFailed);

/// Allocations of one creation of which a [`StallBegan`] is recorded.
pub const MAX_STALLS: u32 = 8;

/// A page allocation failed.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct AllocationFailed {
    /// Task and time.
    pub head: Head,
    /// When the failure was noticed; with the thread's id what connects its zones to it.
    pub failure_ns: u64,
    /// gfp mask.
    pub gfp: u32,
    /// Order.
    pub order: u32,
    /// 1 if every zone in reach was looked at: the lists of zones are known, and that of the CPU's node ended
    /// before the kernel's limit of programs that follow each other (32).
    pub zones_complete: u32,
    /// How many [`ZoneRead`] records belong to it.
    pub zone_count: u32,
    /// Used entries of `stack`.
    pub frames: u32,
    /// Always 0.
    pub reserved: u32,
    /// Kernel stack, innermost first.
    pub stack: [u64; MAX_FRAMES],
}
