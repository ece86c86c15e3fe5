//! Steps of a container's start of which only failures are seen.
use serde::{Deserialize, Serialize};
use serde_with::{DisplayFromStr, serde_as, skip_serializing_none};

pub use fragwatch_ebpf::StartStep;

/// A step that failed for a lack or a limit.
#[serde_as]
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStep {
    /// Which.
    #[serde_as(as = "DisplayFromStr")]
    pub step: StartStep,
    /// The error as a positive errno.
    pub errno: i32,
    /// The task's user, in the initial user namespace.
    pub uid: u32,
    /// Processes and threads that its user has, in its user namespace, if that was read.
    pub processes: Option<u64>,
    /// Its `RLIMIT_NPROC`, if that was read.
    pub process_limit: Option<u64>,
}
