//! Captures: what a trace saw, in a file, so that it can be reported again without its kernel.
//!
//! A capture is JSON, one object a line: a header, then entries in the order in which the trace
//! took them. What is kept is what came out of the kernel, already with names; reports and verdicts
//! are made from it again. A field that does not apply is left out.

use serde::{Deserialize, Serialize};

use crate::model::{
    event::{CgroupPath, Event},
    hook::HookStatus,
    identity::Reply,
    loss::{CreationCounts, Loss, OutsideCounts},
    node::NodeFacts,
    open_creation::OpenCreation,
    repeats::Repeats,
    sample::Sample,
    step::STALL_NS,
    trigger::Trigger,
};

/// What a capture's header calls its format.
pub const FORMAT: &str = "fragwatch-capture";

/// The format's number. It grows when another fragwatch could not make sense of what is written.
pub const FORMAT_VERSION: u32 = 4;

/// The first line: on what the trace ran, and what it could see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`FORMAT_VERSION`] of the fragwatch that wrote it.
    pub format_version: u32,
    /// The fragwatch that wrote it.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// The kernel's page size in bytes.
    pub page_size: u64,
    /// All was reported, also creations without trouble.
    pub all: bool,
    /// Every hook.
    pub hooks: Vec<HookStatus>,
    /// What else is not seen, in sentences.
    pub not_seen: Vec<String>,
    /// What no verdict can rest on there, in sentences.
    pub unobservable: Vec<String>,
    /// An allocation that fails is seen.
    pub sees_failures: bool,
    /// A creation that waited longer than this for memory, in nanoseconds, is reported.
    #[serde(default = "default_stall_ns")]
    pub stall_ns: u64,
    /// How far the time of day was ahead of `CLOCK_MONOTONIC`, in nanoseconds.
    pub realtime_offset_ns: i64,
}

/// Where no other is set.
fn default_stall_ns() -> u64 {
    STALL_NS
}

/// What comes after the header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// Something was seen.
    Event(Event),
    /// The time of day was set.
    Clock {
        /// See [`Header::realtime_offset_ns`].
        realtime_offset_ns: i64,
    },
    /// Quiet incidents outside creations ended here.
    Tick {
        /// When, `CLOCK_MONOTONIC` in nanoseconds.
        time_ns: u64,
    },
    /// The node's facts were read, for what ended with the entry before.
    Node(NodeFacts),
    /// A cgroup was there when watching began.
    Cgroup {
        /// Its id.
        id: u64,
        /// Its path.
        path: CgroupPath,
    },
    /// A lookup was answered: in time for what ended with the entry before, or `late`.
    Reply {
        /// It came after that had been reported.
        late: bool,
        /// The answer.
        reply: Reply,
    },
    /// Events had been lost: how many in all so far.
    Loss(Loss),
    /// Steps of creations that were only counted since this was last said.
    Repeats {
        /// When that was read, `CLOCK_MONOTONIC` in nanoseconds.
        time_ns: u64,
        /// Those alike together, the most frequent first.
        repeats: Vec<Repeats>,
    },
    /// Creations that had not ended when the kernel was asked for all of them.
    Open {
        /// When, `CLOCK_MONOTONIC` in nanoseconds.
        time_ns: u64,
        /// They.
        creations: Vec<OpenCreation>,
    },
    /// A hook was detached again while the trace went on: what became of it.
    Detached(HookStatus),
    /// The node's memory was sampled.
    Sample(Sample),
    /// The flight recorder wrote down the samples before this, and writes those of the minute after it.
    Trigger {
        /// When, `CLOCK_MONOTONIC` in nanoseconds.
        time_ns: u64,
        /// Why.
        reason: Trigger,
    },
    /// The trace ended as it should.
    End {
        /// What the kernel side had counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outside: Option<OutsideCounts>,
        /// Creations that it had counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        creations: Option<CreationCounts>,
    },
}

impl Entry {
    /// It stands after what ended with the entries before it, and is reported with that.
    pub fn is_beside(&self) -> bool {
        matches!(self, Self::Node(_) | Self::Reply { late: false, .. })
    }
}
