//! The steps that create a container's namespaces.
use super::{CgroupPath, Head};

/// Bytes kept of a slab cache's name, with its NUL.
pub const CACHE_NAME_LEN: usize = 64;

/// A thread has made the namespaces of a container, a network's or a pid namespace among them, or
/// could not: it returned from `create_new_namespaces`, `copy_net_ns`, or a system call that calls them.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct NetnsSetupEnded {
    /// Task and time.
    pub head: Head,
    /// 0, or the negative errno that it returned.
    pub errno: i32,
    /// Inode of the new namespace; 0 if there is none or it could not be read.
    pub netns: u32,
    /// Records of this creation for which the ring had no room, and returns that were not seen.
    pub lost: u32,
    /// A [`Victim`](super::Victim).
    pub victim: u32,
    /// Failed allocations with a fallback that were not recorded; see [`MAX_FALLBACKS`](super::MAX_FALLBACKS).
    pub omitted: u64,
    /// How long direct compaction and reclaim took that were not recorded with them, in nanoseconds.
    pub omitted_stall_ns: u64,
    /// Flags of the system call, where that is all that is seen; else 0.
    pub call_flags: u64,
    /// The namespaces that were to be made, as `CLONE_NEW*` flags, as far as they are seen.
    pub namespaces: u64,
    /// The task's memory cgroup where the memory controller has a hierarchy of its own (v1), else
    /// its cgroup in the v2 hierarchy.
    pub cgroup: CgroupPath,
}

/// A user's limit on namespaces refused one.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct NamespaceRefused {
    /// Task and time.
    pub head: Head,
    /// Its kind, as the kernel's `enum ucount_type` numbers it.
    pub kind: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A slab cache was created, or could not be.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct SlabCacheCreated {
    /// Task and time.
    pub head: Head,
    /// Object size in bytes.
    pub size: u32,
    /// 1 if it failed.
    pub failed: u32,
    /// The cache's name, NUL-terminated.
    pub name: [u8; CACHE_NAME_LEN],
}

/// A subsystem's per-netns initialisation returned an error.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct PernetInitFailed {
    /// Task and time.
    pub head: Head,
    /// Address of its `init` function, 0 if it could not be read.
    pub init: u64,
    /// The negative errno that it returned; 0 if that is not seen: the creation fails with the same.
    pub errno: i32,
    /// Always 0.
    pub reserved: u32,
}
