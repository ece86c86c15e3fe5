//! Trouble that repeats: the first few in detail, then only how often.
use super::{COMM_LEN, numbered};

numbered! {
    /// A step of a container's start.
    Step {
        /// Its namespaces are made, a network's or a pid namespace among them.
        Namespaces,
        /// Its cgroup is made.
        Cgroup,
        /// A process is forked.
        Fork,
        /// Its user namespace is made.
        UserNamespace,
    }
}

/// Steps alike that one user may have recorded in [`USER_PERIOD_NS`]; further ones are counted.
pub const MAX_OF_USER: u64 = 5;
/// Creations in detail that one user may have recorded in [`USER_PERIOD_NS`].
pub const MAX_DETAILS_OF_USER: u64 = 32;
/// The period of an unprivileged user's budget: a minute, as a multiple of a power of two of nanoseconds.
pub const USER_PERIOD_NS: u64 = 56 << 30;
/// As [`MAX_OF_USER`], for the root user's tasks of one cgroup, in [`ROOT_PERIOD_NS`]. A daemon makes the
/// namespaces of all pods.
pub const MAX_OF_ROOT: u64 = 128;
/// As [`MAX_DETAILS_OF_USER`], for the root user's tasks of one cgroup, in [`ROOT_PERIOD_NS`].
pub const MAX_DETAILS_OF_ROOT: u64 = 512;
/// The period of a budget of the root user's tasks.
pub const ROOT_PERIOD_NS: u64 = 10 << 30;

/// Whose trouble is counted together, and of which kind: the key of the map [`REPEATS`](crate::map::REPEATS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Account {
    /// [`Head::user`](super::Head::user).
    pub user: u32,
    /// A [`Step`], or [`DETAILS`].
    pub step: u32,
    /// The negative errno that it failed with; 0 if it succeeded, though not without trouble.
    pub errno: i32,
    /// Always 0.
    pub reserved: u32,
    /// Id of the cgroup, as in [`Head`](super::Head); 0 for a user other than root, who may have made many.
    pub cgroup: u64,
}

/// [`Account::step`] where creations of which details were recorded are counted.
pub const DETAILS: u32 = u32::MAX;

/// What was counted of an [`Account`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Repeats {
    /// When its present period began, `CLOCK_MONOTONIC` in nanoseconds.
    pub since_ns: u64,
    /// How many were asked for in that.
    pub count: u64,
    /// How many were not recorded, in all periods.
    pub omitted: u64,
    /// When the last of these was.
    pub last_ns: u64,
    /// Id of its cgroup.
    pub cgroup_id: u64,
    /// Its process id.
    pub tgid: u32,
    /// Always 0.
    pub reserved: u32,
    /// Its name, padded with NULs.
    pub comm: [u8; COMM_LEN],
}
