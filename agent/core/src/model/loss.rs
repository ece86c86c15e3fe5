//! Events that did not reach the agent, and what was only counted.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Events that the kernel side could not hand over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Loss {
    /// Of creations: the ring was full.
    pub creation_events: u64,
    /// Of what happened outside creations, with `--all`: the ring was full.
    pub other_events: u64,
    /// Of cgroups that were made: the ring was full.
    pub cgroup_events: u64,
    /// Creations not followed: too many threads at once, or a system call whose arguments could not
    /// be read.
    pub untracked_creations: u64,
    /// Returns that were not seen: of creations, or of something inside one.
    pub unseen_returns: u64,
    /// Times that the kernel skipped one of our programs, wherever that was.
    pub missed_runs: u64,
}

impl Loss {
    /// All of it.
    pub fn total(&self) -> u64 {
        [
            self.creation_events,
            self.other_events,
            self.cgroup_events,
            self.untracked_creations,
            self.unseen_returns,
            self.missed_runs,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// Creations that the kernel side counted: of what went well it sends nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreationCounts {
    /// Ended without trouble, and are in no event.
    pub untroubled: u64,
    /// Began, and were not seen to end.
    pub unfinished: u64,
}

/// What the kernel side counted outside creations.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutsideCounts {
    /// Entries into the slow path.
    pub slow_paths: u64,
    /// Allocations that failed, with a fallback or without; `None` if that is not seen.
    pub failures: Option<u64>,
    /// Direct compactions.
    pub compactions: u64,
    /// Direct reclaims.
    pub reclaims: u64,
    /// Of the failures, those that were wanted as events and are none: too many alike.
    pub omitted_failures: u64,
    /// Failed steps of starts that would be events and are none: too many alike.
    #[serde(default)]
    pub omitted_steps: u64,
}
