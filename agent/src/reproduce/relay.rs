//! What `reproduce` reads of the `trace` that it runs: each line as JSON for programs and as text for
//! people, so that both forms of its report hold what trace would have printed.
use std::io::{self, Write};

use fragwatch_core::report::{Format, Text, line::Line};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line of a trace in both forms.
#[derive(Debug, Serialize, Deserialize)]
pub struct Relayed {
    /// The line as JSON.
    pub line: Value,
    /// The same as text, with colours.
    pub text: String,
}

/// Writes both forms.
pub struct Relay<W> {
    out: W,
    zone: TimeZone,
}

impl<W: Write> Relay<W> {
    /// Writes to `out`; times of day in `zone`.
    pub fn new(out: W, zone: TimeZone) -> Self {
        Self { out, zone }
    }
}

impl<W: Write> Format for Relay<W> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = Vec::new();
        Text::new(&mut text, self.zone.clone()).line(line)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut relayed =
            serde_json::to_string(&Relayed { line: serde_json::to_value(line)?, text })?;
        relayed.push('\n');
        self.out.write_all(relayed.as_bytes())?;
        self.out.flush()
    }
}
