//! What logs told, in one form or another.
mod json;
mod text;

use std::io;

use crate::model::{
    incident::Incident,
    log_stats::Stats,
    log_time::{LogTime, Wall},
    verdict::{Cause, Verdict},
};

pub use json::LogJson;
pub use text::LogText;

/// An incident with where it was found and why it happened.
#[derive(Clone, Copy, Debug)]
pub struct ReportedLog<'a> {
    /// The log's name; `-` is standard input.
    pub file: &'a str,
    /// What.
    pub what: &'a Incident,
    /// Why.
    pub verdict: &'a Verdict,
}

/// All that was read, told last.
#[derive(Clone, Debug, Default)]
pub struct LogSummary {
    /// Logs that were read, to their end or until that failed.
    pub files: u64,
    /// Logs that could not be read, or not to their end.
    pub unread: u64,
    /// Incidents that were told.
    pub incidents: u64,
    /// Incidents per cause.
    pub causes: Vec<(Cause, u64)>,
    /// Reports of the kernel's of which the beginning is not in the log, so that they were left
    /// out.
    pub without_beginning: u64,
    /// Logs that look like anything but text.
    pub binary: u64,
    /// What was read, of all logs.
    pub read: Stats,
}

impl LogSummary {
    /// Counts an incident.
    pub fn count(&mut self, cause: Cause) {
        self.incidents += 1;
        if let Some((_, count)) = self.causes.iter_mut().find(|(known, _)| *known == cause) {
            *count += 1;
        } else {
            self.causes.push((cause, 1));
            self.causes.sort_unstable();
        }
    }

    /// Adds what was read of one log.
    pub fn add(&mut self, stats: &Stats) {
        let read = &mut self.read;
        read.bytes += stats.bytes;
        read.lines += stats.lines;
        read.cut_lines += stats.cut_lines;
        read.cut_bytes += stats.cut_bytes;
        read.undecodable_lines += stats.undecodable_lines;
        read.compressed_tail_lost |= stats.compressed_tail_lost;
        self.binary += u64::from(stats.binary());
    }
}

/// A form of report on logs. Each call writes whole lines and leaves nothing in a buffer.
pub trait LogReport {
    /// An incident was found.
    fn incident(&mut self, told: ReportedLog) -> io::Result<()>;
    /// All logs were read.
    fn summary(&mut self, summary: &LogSummary) -> io::Result<()>;
}

/// The time of day as the log has it: with its zone, without, or without a year.
fn wall(time: &LogTime) -> Option<String> {
    Some(match time.wall? {
        Wall::Timestamp(at) => format!("{at:.3}"),
        Wall::Civil(at) => at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        // ISO 8601's way to leave out the year.
        Wall::Yearless { month, day, time } => {
            format!("--{month:02}-{day:02}T{}", time.strftime("%H:%M:%S"))
        }
    })
}

/// The time of day for people.
fn wall_for_people(time: &LogTime) -> Option<String> {
    match time.wall? {
        Wall::Yearless { month, day, time } => {
            // Only to have the month's name: any year will do that has the day.
            let date = jiff::civil::Date::new(2000, month, day).ok()?;
            Some(date.to_datetime(time).strftime("%b %e %H:%M:%S").to_string())
        }
        _ => wall(time),
    }
}

/// Whether the incident is a failure, or something that was survived or waited for.
fn outcome(incident: &Incident) -> &'static str {
    use crate::model::allocation::Outcome;
    let all = |outcome| {
        !incident.allocations.is_empty()
            && incident.allocations.iter().all(|a| a.outcome == outcome)
    };
    if all(Outcome::Recovered) && incident.messages.is_empty() {
        "stalled"
    } else if all(Outcome::FellBack) && incident.messages.is_empty() {
        "degraded"
    } else {
        "failed"
    }
}
