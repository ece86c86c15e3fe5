//! Creations that have begun and not ended.
use super::Head;

/// Frames kept of the stack of a task that does not get on.
pub const MAX_OPEN_FRAMES: usize = 28;

/// A creation that is under way, as the iterator [`OPEN_CREATIONS`](crate::table::OPEN_CREATIONS) finds it. It
/// comes from no ring.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct OpenCreation {
    /// When it began, `CLOCK_MONOTONIC` in nanoseconds.
    pub creation_ns: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds, when it was found.
    pub time_ns: u64,
    /// Id of the task's cgroup, as in [`Head`].
    pub cgroup_id: u64,
    /// `CLONE_NEW*` flags of the namespaces that are made.
    pub namespaces: u64,
    /// How long direct compaction and reclaim have been under way, in nanoseconds; 0 if they are not.
    pub stall_ns: u64,
    /// Thread id.
    pub tid: u32,
    /// Process id.
    pub tgid: u32,
    /// A [`Step`](super::Step).
    pub step: u32,
    /// Used entries of `stack`.
    pub frames: u32,
    /// The task's name, padded with NULs.
    pub comm: [u8; super::COMM_LEN],
    /// Kernel stack, innermost first.
    pub stack: [u64; MAX_OPEN_FRAMES],
}

#[cfg(feature = "decode")]
impl OpenCreation {
    /// All that the iterator wrote. What is no whole one at the end is left out.
    pub fn read_all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        use zerocopy::FromBytes as _;
        let records = bytes.chunks_exact(size_of::<Self>());
        records.filter_map(|record| Self::read_from_bytes(record).ok())
    }
}

/// The end of a creation for whose full record the ring had no room: what was recorded of it before may lack
/// something too.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct BriefEnd {
    /// Task and time.
    pub head: Head,
    /// 0, or the negative errno that it returned.
    pub errno: i32,
    /// A [`Step`](super::Step).
    pub step: u32,
    /// `CLONE_NEW*` flags of the namespaces that were to be made.
    pub namespaces: u64,
}
