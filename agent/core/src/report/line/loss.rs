//! Events that were lost.
use schemars::JsonSchema;
use serde::Serialize;

/// Events that were lost so far.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Loss {
    /// All of them.
    pub lost: u64,
    /// Events of creations: the ring was full.
    pub creation_events: u64,
    /// Events outside creations: the ring was full.
    pub other_events: u64,
    /// Cgroups that were made, renamed or removed: the ring was full.
    pub cgroup_events: u64,
    /// Creations that could not be followed: too many at once, or arguments that could not be read.
    pub untracked_creations: u64,
    /// Returns of functions that were not seen.
    pub unseen_returns: u64,
    /// Runs of a program that the kernel skipped.
    pub missed_runs: u64,
}
