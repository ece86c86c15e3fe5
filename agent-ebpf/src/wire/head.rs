//! What every record begins with.

/// Bytes of a task's name, as `TASK_COMM_LEN` in the kernel.
pub const COMM_LEN: usize = 16;

/// [`Head::user`] of a task whose user could not be read; no user has this id.
pub const UNKNOWN_USER: u32 = u32::MAX;

/// [`Head::user`] of a task more than three user namespaces deep: all such tasks count as one user.
pub const NESTED_USER: u32 = u32::MAX - 1;

/// What every record begins with. Those about cgroups have neither user nor cgroup nor name of the task.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(zerocopy::FromBytes))]
#[repr(C)]
pub struct Head {
    /// A [`Kind`].
    pub kind: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Process id in the initial pid namespace.
    pub tgid: u32,
    /// Who is responsible for the task: the owner of its outermost user namespace below the initial one or, in the
    /// initial one, its real user id. [`UNKNOWN_USER`] if that could not be read.
    pub user: u32,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// When the creation that this belongs to began; with `tid` its identity, since a thread can't
    /// begin twice in one nanosecond. 0 outside any creation.
    pub creation_ns: u64,
    /// Id of the task's cgroup in the tasks' hierarchy: the memory controller's where that has one of
    /// its own (v1), else v2's.
    pub cgroup_id: u64,
    /// The task's name, padded with NULs.
    pub comm: [u8; COMM_LEN],
}
