//! The report of `serve`: each line goes into the metrics, to the clients of `/events`, onto the page, and
//! to the journal.
use std::{io, sync::Arc};

use bytes::Bytes;
use fragwatch_core::{
    model::{log_time::Wall, step::Outcome},
    report::{
        Format, escape,
        line::{Line, creation::Creation, time::Time},
        one_line,
    },
};
use jiff::Timestamp;

use super::{
    journal::{Journal, Priority},
    shared::{Failure, Shared},
};

/// A longer line goes to no client of `/events`, in bytes.
const MAX_EVENT: usize = 64 << 10;

/// The pipeline's report.
pub(super) struct Report {
    shared: Arc<Shared>,
    journal: Journal,
    /// Ids of creations that were reported, the newest last: names that come later are for these.
    reported: std::collections::VecDeque<u64>,
}

/// Creations whose names may come later.
const REPORTED: usize = 64;

impl Report {
    pub(super) fn new(shared: Arc<Shared>, journal: Journal) -> Self {
        Self { shared, journal, reported: std::collections::VecDeque::new() }
    }

    /// Counts a creation. True if it is to be reported.
    fn admit(&mut self, creation: &Creation) -> bool {
        let at = timestamp(creation.time);
        self.shared.metrics.count_trouble(creation, at.as_nanosecond() as f64 / 1e9);
        if self.shared.limits().take_suppressed(creation.id) {
            self.shared.metrics.count_suppressed();
            return false;
        }
        self.reported.push_back(creation.id);
        if self.reported.len() > REPORTED {
            self.reported.pop_front();
        }
        true
    }

    fn note(&self, creation: &Creation, summary: &str) {
        let Some(verdict) = &creation.verdict else { return };
        if creation.outcome == Outcome::Failed && creation.continues.is_none() {
            self.shared.board().add(Failure {
                time: timestamp(creation.time),
                creation: creation.id,
                outcome: creation.outcome.into(),
                cause: verdict.cause.into(),
                confidence: verdict.confidence.into(),
                summary: anstream::adapter::strip_str(summary).to_string(),
                container: None,
            });
        }
    }

    /// Sends a line to the clients of `/events`.
    fn send(&self, line: &Line) -> io::Result<()> {
        if self.shared.events.receiver_count() != 0 {
            let json = escape(&serde_json::to_string(line)?);
            if json.len() <= MAX_EVENT {
                // A client that has gone since is no error.
                let _ = self.shared.events.send(Bytes::from(json));
            }
        }
        Ok(())
    }
}

impl Format for Report {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let priority = match line {
            Line::Creation(creation) => {
                if !self.admit(creation) {
                    return Ok(());
                }
                priority(creation.outcome)
            }
            Line::Container(late) if !self.reported.contains(&late.creation) => return Ok(()),
            // Without `--all` only OOM kills that concern containers.
            Line::Incident(incident) => priority(incident.outcome),
            Line::Loss(_) => Priority::Warning,
            _ => Priority::Info,
        };
        let text = one_line(line);
        if let Some(text) = &text {
            self.journal.line(priority, text);
        }
        match line {
            Line::Creation(creation) => self.note(creation, text.as_deref().unwrap_or_default()),
            Line::Container(late) => {
                let mut board = self.shared.board();
                let failure = board.failures.iter_mut().find(|one| one.creation == late.creation);
                if let Some(failure) = failure {
                    failure.container = text;
                }
            }
            _ => {}
        }
        self.send(line)
    }
}

/// What [`Report`] makes of a line, kept by none.
pub(super) struct Rehearsal;

impl Format for Rehearsal {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let json = serde_json::to_string(line)?;
        drop((one_line(line), escape(&json)));
        Ok(())
    }
}

fn priority(outcome: Outcome) -> Priority {
    match outcome {
        Outcome::Failed => Priority::Error,
        Outcome::Degraded => Priority::Warning,
        Outcome::Stalled => Priority::Notice,
        Outcome::Ok => Priority::Info,
    }
}

/// Live reports have whole times.
fn timestamp(time: Time) -> Timestamp {
    match time.0 {
        Wall::Timestamp(at) => at,
        Wall::Civil(_) | Wall::Yearless { .. } => Timestamp::now(),
    }
}
