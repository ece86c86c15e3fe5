//! Trouble outside any creation.
use super::{
    allocation::Allocation,
    event::{CgroupPath, ForkRefused, OomKill, Task},
};

/// Trouble outside any creation: an allocation that failed or stalled, processes that were killed, a
/// fork that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Who.
    pub task: Task,
    /// Its cgroup, if that is known.
    pub cgroup: Option<CgroupPath>,
    /// When it was last heard of, `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// The allocation, if there was one.
    pub allocation: Option<Allocation>,
    /// Processes that were killed for it.
    pub oom_kills: Vec<OomKill>,
    /// The fork that was refused.
    pub fork_refused: Option<ForkRefused>,
}
