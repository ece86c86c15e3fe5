//! What is told, in one form or another.
mod json;
mod text;

use std::io;

pub use json::Json;
pub use text::Text;

use crate::{
    creation::{Creation, Incident, Outcome},
    diagnose::{Cause, Verdict},
    hook::HookStatus,
};
use jiff::Timestamp;

/// What is being watched, told first.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The kernel's release.
    pub kernel: String,
    /// Every hook.
    pub hooks: Vec<HookStatus>,
    /// What else is not seen, in sentences.
    pub not_seen: Vec<String>,
}

/// Something happened at a time of day.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a, T> {
    /// When it ended.
    pub time: Timestamp,
    /// What.
    pub what: &'a T,
    /// Why; `None` if nothing was wrong.
    pub verdict: Option<&'a Verdict>,
}

/// Events that the kernel side could not hand over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Of creations: the ring was full.
    pub creation_events: u64,
    /// Of what happened outside creations, with `--all`: the ring was full.
    pub other_events: u64,
    /// Creations not followed: too many threads at once.
    pub untracked_creations: u64,
    /// Creations whose return was not seen.
    pub unseen_returns: u64,
}

impl Loss {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.creation_events + self.other_events + self.untracked_creations + self.unseen_returns
    }
}

/// What the kernel side counted outside creations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutsideCounts {
    /// Entries into the slow path.
    pub slow_paths: u64,
    /// Allocations that came back NULL, most of them with a fallback.
    pub failures: u64,
    /// Direct compactions.
    pub compactions: u64,
    /// Direct reclaims.
    pub reclaims: u64,
}

/// All that was seen, told last.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Creations per outcome.
    pub ok: u64,
    /// See [`Outcome::Stalled`].
    pub stalled: u64,
    /// See [`Outcome::Degraded`].
    pub degraded: u64,
    /// See [`Outcome::Failed`].
    pub failed: u64,
    /// Creations that had not ended.
    pub unfinished: u64,
    /// Incidents outside creations that were told.
    pub incidents: u64,
    /// Creations in trouble per cause.
    pub causes: Vec<(Cause, u64)>,
    /// What happened outside creations.
    pub outside: OutsideCounts,
    /// What was lost.
    pub loss: Loss,
    /// The longest time from a creation's end to its line being written, in microseconds.
    pub slowest_report_us: Option<u64>,
}

impl Summary {
    /// Counts a creation.
    pub fn count(&mut self, outcome: Outcome, verdict: Option<&Verdict>) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Stalled => self.stalled += 1,
            Outcome::Degraded => self.degraded += 1,
            Outcome::Failed => self.failed += 1,
        }
        let Some(cause) = verdict.map(|v| v.cause) else { return };
        match self.causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, count)) => *count += 1,
            None => {
                self.causes.push((cause, 1));
                self.causes.sort_unstable();
            }
        }
    }
}

/// A form of report. Each call writes whole lines and leaves nothing in a buffer.
pub trait Report {
    /// Watching begins.
    fn ready(&mut self, ready: &Ready) -> io::Result<()>;
    /// A creation ended.
    fn creation(&mut self, told: Told<Creation>) -> io::Result<()>;
    /// Trouble outside any creation.
    fn incident(&mut self, told: Told<Incident>) -> io::Result<()>;
    /// Events were lost.
    fn loss(&mut self, loss: &Loss) -> io::Result<()>;
    /// Watching ends.
    fn summary(&mut self, summary: &Summary) -> io::Result<()>;
}
