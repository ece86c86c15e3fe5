//! Cgroups: their paths, and that one was created, renamed, removed, or could not be created.
use super::Head;

/// Levels of a cgroup path that are recorded, counted from the leaf.
pub const CGROUP_LEVELS: usize = 10;
/// Bytes kept of one cgroup directory's name, with its NUL.
pub const CGROUP_NAME_LEN: usize = 128;
/// Bytes kept of a path in [`CgroupMade`], with its NUL.
pub const CGROUP_PATH_LEN: usize = 512;

/// A cgroup's place in its hierarchy.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct CgroupPath {
    /// Its id, 0 if it could not be read.
    pub id: u64,
    /// Used entries of `names`.
    pub depth: u32,
    /// 1 if the path goes on above the recorded levels, or could not be read to its root.
    pub truncated: u32,
    /// Names of its directories, leaf first, NUL-terminated.
    pub names: [[u8; CGROUP_NAME_LEN]; CGROUP_LEVELS],
}

/// A cgroup was created.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct CgroupMade {
    /// Task and time.
    pub head: Head,
    /// Its id.
    pub id: u64,
    /// Id of its hierarchy, 0 for the v2 one.
    pub hierarchy: u32,
    /// Bytes of the whole path, its NUL counted; more than [`CGROUP_PATH_LEN`] if it was cut.
    pub len: u32,
    /// Its path from the hierarchy's root, NUL-terminated; the end of it if it was cut.
    pub path: [u8; CGROUP_PATH_LEN],
}

/// A cgroup was renamed: as [`CgroupMade`], with its new path. On v1 only.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(transparent)]
pub struct CgroupRenamed(pub CgroupMade);

/// A cgroup was removed.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct CgroupRemoved {
    /// Task and time.
    pub head: Head,
    /// Its id.
    pub id: u64,
    /// Id of its hierarchy, 0 for the v2 one.
    pub hierarchy: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A cgroup could not be created, or only after failures or stalls.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct CgroupSetupEnded {
    /// Task and time.
    pub head: Head,
    /// 0, or the negative errno that it returned.
    pub errno: i32,
    /// 0, or the negative errno with which the memory controller refused.
    pub memory_errno: i32,
    /// As in [`NetnsSetupEnded`](super::NetnsSetupEnded).
    pub lost: u32,
    /// A [`Victim`](super::Victim).
    pub victim: u32,
    /// As in [`NetnsSetupEnded`](super::NetnsSetupEnded).
    pub omitted: u64,
    /// As in [`NetnsSetupEnded`](super::NetnsSetupEnded).
    pub omitted_stall_ns: u64,
    /// Its directory's name, NUL-terminated.
    pub name: [u8; CGROUP_NAME_LEN],
    /// The cgroup that it was to be created in.
    pub parent: CgroupPath,
}
