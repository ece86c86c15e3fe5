//! The totals, printed last.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{left_out::LeftOut, step::Outcome, verdict::Cause};

/// The totals of a trace or of the logs that were read.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Summary {
    /// Incidents that were reported.
    pub incidents: u64,
    /// Creations and incidents in trouble, by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// `trace` and `replay`: what was watched.
    #[serde(flatten)]
    pub watched: Option<Watched>,
    /// `explain`: what was read.
    #[serde(flatten)]
    pub logs: Option<Logs>,
}

/// The totals of a trace.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Watched {
    /// Creations by how they ended.
    pub creations: Creations,
    /// Incidents that were not reported, because too many came at once.
    pub incidents_omitted: u64,
    /// What was counted outside creations; null where a capture does not have it.
    pub outside: Option<Outside>,
    /// Steps, such as forks and mounts, that failed for a lack or a limit and were not reported: they were no
    /// container's start, or there were too many alike.
    pub failed_steps: u64,
    /// Events that were lost.
    pub lost: u64,
    /// The longest time from a creation's end to its report; null in `replay`.
    pub slowest_report_us: Option<u64>,
}

/// Creations by how they ended.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct Creations {
    /// Nothing was wrong.
    pub ok: u64,
    /// They waited for memory.
    pub stalled: u64,
    /// They succeeded although an allocation failed, or processes were killed.
    pub degraded: u64,
    /// They failed.
    pub failed: u64,
    /// They had not ended.
    pub unfinished: u64,
}

/// What was counted outside creations.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Outside {
    /// Allocations that entered the slow path.
    pub slow_paths: u64,
    /// Allocations that failed, with a fallback or without; null if that is not seen.
    pub failures: Option<u64>,
    /// Direct compactions.
    pub compactions: u64,
    /// Direct reclaims.
    pub reclaims: u64,
}

/// What was read of logs.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Logs {
    /// Whether there is an incident in them.
    pub found: bool,
    /// Logs that were read, to their end or until that failed.
    pub files: u64,
    /// Logs that could not be read, or not to their end.
    pub unread_files: u64,
    /// Lines that were read.
    pub lines: u64,
    /// Bytes that were read, after decompression.
    pub bytes: u64,
    /// Reports of the kernel that were left out, because their beginning is not in the log.
    pub without_beginning: u64,
    /// What could not be used.
    pub skipped: Skipped,
    /// What of directories and archives was not read, one entry for each reason.
    pub left_out: Vec<LeftOutFiles>,
}

/// Files that were not read for one reason.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LeftOutFiles {
    /// Why.
    pub reason: LeftOut,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: String,
}

/// What of the logs could not be used.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct Skipped {
    /// Lines that were cut because they are too long.
    pub cut_lines: u64,
    /// Bytes of them that were not looked at.
    pub cut_bytes: u64,
    /// Lines that are not UTF-8.
    pub undecodable_lines: u64,
    /// Whether compressed data ends early or is damaged.
    pub compressed_tail_lost: bool,
    /// Files that look like anything but a log.
    pub binary_files: u64,
}

impl Summary {
    /// Counts one more of a cause.
    pub fn count_cause(&mut self, cause: Cause) {
        *self.causes.entry(cause).or_default() += 1;
    }
}

impl Creations {
    /// Counts one more that ended like this.
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Stalled => self.stalled += 1,
            Outcome::Degraded => self.degraded += 1,
            Outcome::Failed => self.failed += 1,
        }
    }

    /// All that ended.
    pub fn ended(&self) -> u64 {
        [self.ok, self.stalled, self.degraded, self.failed].into_iter().fold(0, u64::saturating_add)
    }
}
