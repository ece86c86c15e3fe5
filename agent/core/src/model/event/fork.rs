//! Refused forks.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A fork that was refused because a cgroup has as many processes as it may have.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForkRefused {
    /// The cgroup whose limit it is, if that was seen.
    pub cgroup: Option<String>,
    /// Processes and threads in it.
    pub processes: Option<u64>,
    /// Its limit.
    pub limit: Option<u64>,
    /// How many forks were refused, where only their number is known.
    pub times: Option<u64>,
}
