//! The report for people. Who, what, why and what to do come first; what that rests on is indented
//! below, the same for every command.
mod allocation;
mod block;
mod check;
mod container;
mod creation;
mod doctor;
mod incident;
mod loss;
mod node;
mod one_line;
mod ready;
mod recording;
mod repeats;
mod reproduce;
mod summary;
mod unfinished;
mod verdict;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};

pub use self::one_line::one_line;
use self::{block::Block, incident::Repeats};
use crate::{
    model::log_time::Wall,
    report::{
        Format,
        line::{Line, time::Time},
    },
};

/// Failures.
const RED: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Good news.
const GREEN: Style = AnsiColor::Green.on_default();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// The report for people. Styles are written always; `out` strips them where they don't belong.
pub struct Text<W> {
    out: W,
    zone: TimeZone,
    repeats: Repeats,
    /// It is about what was recorded, not about what happens now.
    replayed: bool,
}

impl<W: Write> Text<W> {
    /// Writes to `out`; times of day in `zone`.
    pub fn new(out: W, zone: TimeZone) -> Self {
        Self { out, zone, repeats: Repeats::default(), replayed: false }
    }

    /// For what was recorded.
    #[must_use]
    pub fn replayed(self) -> Self {
        Self { replayed: true, ..self }
    }

    fn clock(&self, time: Time) -> String {
        let clock =
            |at: Timestamp| at.to_zoned(self.zone.clone()).strftime("%H:%M:%S%.3f").to_string();
        match time.0 {
            Wall::Timestamp(at) => clock(at),
            Wall::Civil(_) | Wall::Yearless { .. } => time.to_string(),
        }
    }
}

impl<W: Write> Format for Text<W> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let block = match line {
            Line::Ready(ready) => ready::block(ready, self.replayed),
            Line::Creation(creation) => creation::block(creation, &self.clock(creation.time)),
            Line::Container(late) => container::late_block(late, &self.clock(late.time)),
            Line::Incident(incident) => {
                if let Some(log) = &incident.log {
                    incident::of_log(incident, log, &mut self.repeats)
                } else {
                    let time = incident.time.map(|time| self.clock(time)).unwrap_or_default();
                    incident::live(incident, &time)
                }
            }
            Line::Recording(recording) => recording::block(recording, &self.zone),
            Line::Unfinished(one) => unfinished::block(one, &self.clock(one.time)),
            Line::Repeats(repeats) => repeats::block(repeats, &self.clock(repeats.time)),
            Line::Loss(loss) => loss::block(loss),
            Line::Summary(summary) => summary::block(summary),
            Line::Check(check) => check::block(check),
            Line::Doctor(doctor) => doctor::block(doctor),
            Line::Reproduce(result) => reproduce::block(result),
        };
        self.out.write_all(block.into_text().as_bytes())?;
        self.out.flush()
    }
}

/// Text in a style, which is reset behind it.
fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// KiB as people read them.
fn kib(kib: u64) -> String {
    crate::units::bytes(kib.saturating_mul(1024))
}

/// Microseconds as people read them.
fn micros(us: u64) -> String {
    crate::units::duration(us.saturating_mul(1000))
}
