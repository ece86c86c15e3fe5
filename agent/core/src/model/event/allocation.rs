//! What is read of a failed allocation, and what direct compaction returns.
use serde::{Deserialize, Serialize};

use crate::model::{frame::Frame, zone::Zone};

/// What was read at the moment an allocation failed, or had the OOM killer called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// Kernel stack, innermost first; empty if it could not be taken.
    pub stack: Vec<Frame>,
    /// The zones that it could have used, as far as they were read.
    pub zones: Vec<Zone>,
    /// These are all of them.
    pub zones_complete: bool,
}

/// `enum compact_result` (5.10–7.2; include/linux/compaction.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactResult {
    /// Not worth trying.
    Skipped,
    /// Put off after earlier failures.
    Deferred,
    /// No page to move.
    NoSuitablePage,
    /// All of the zone was gone through without a block.
    Complete,
    /// A part of the zone was gone through without a block.
    PartialSkipped,
    /// Given up because others waited for a lock.
    Contended,
    /// A block was made.
    Success,
    /// A number that we have no name for.
    Other(u32),
}

impl CompactResult {
    /// By its number; 0, 4 and above 8 are not results that direct compaction returns.
    pub fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Skipped,
            2 => Self::Deferred,
            3 => Self::NoSuitablePage,
            5 => Self::Complete,
            6 => Self::PartialSkipped,
            7 => Self::Contended,
            8 => Self::Success,
            other => Self::Other(other),
        }
    }

    /// In a word or two.
    pub fn describe(self) -> String {
        match self {
            Self::Skipped => "skipped".to_owned(),
            Self::Deferred => "deferred".to_owned(),
            Self::NoSuitablePage => "no suitable page".to_owned(),
            Self::Complete => "complete".to_owned(),
            Self::PartialSkipped => "partly skipped".to_owned(),
            Self::Contended => "contended".to_owned(),
            Self::Success => "success".to_owned(),
            Self::Other(number) => format!("result {number}"),
        }
    }
}

/// Failed allocations with a fallback that a creation had besides those in its events: of hundreds alike the
/// first few are events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// How many.
    pub failures: u64,
    /// How long the task was in direct compaction and reclaim for them, in nanoseconds.
    pub stall_ns: u64,
}

impl Omitted {
    /// Whether there are none.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
