//! Creations that have begun and not ended.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::model::{
    container::Container,
    event::{CgroupPath, CreationKey, Task},
    frame::Frame,
    repeats::CountedStep,
};

/// A creation that was under way when the kernel was asked.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenCreation {
    /// Which.
    pub creation: CreationKey,
    /// Whose.
    pub task: Task,
    /// Which step it is.
    pub step: CountedStep,
    /// The namespaces that are made, as `CLONE_NEW*` flags.
    pub namespaces: u64,
    /// How long direct compaction or reclaim had been under way, in nanoseconds; 0 if neither was.
    pub stall_ns: u64,
    /// The task's kernel stack, innermost first; `None` if the kernel did not show it.
    pub stack: Option<Vec<Frame>>,
}

/// A creation whose end was not seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// Which.
    pub creation: CreationKey,
    /// Whose.
    pub task: Task,
    /// Which step it is.
    pub step: CountedStep,
    /// The namespaces that were to be made, as `CLONE_NEW*` flags, as far as that was seen.
    pub namespaces: u64,
    /// The task's cgroup, if it is known.
    pub cgroup: Option<CgroupPath>,
    /// The container that it is for, if that is certain.
    pub container: Option<Container>,
    /// When this was found, `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// Allocations of it that were seen to fail, with a fallback or without.
    pub failures: u64,
    /// What has become of it.
    pub state: State,
    /// How many more were found at the same time, and are not reported one by one.
    pub more: u64,
}

/// What has become of a creation whose end was not seen.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It is under way.
    UnderWay {
        /// How long direct compaction or reclaim had been under way, in nanoseconds; 0 if neither was.
        stall_ns: u64,
        /// As in [`OpenCreation`].
        stack: Option<Vec<Frame>>,
    },
    /// It has ended, and the record of that was lost.
    EndLost,
}
