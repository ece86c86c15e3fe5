//! One JSON object a line.
use std::io::{self, Write};

use crate::{
    report::{Format, line::Line},
    units,
};

/// The report for programs.
pub struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Format for Json<W> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = escape(&serde_json::to_string(line)?);
        text.push('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// Escapes what JSON allows in a string but a terminal obeys or hides. None of it can stand outside
/// of a string.
pub fn escape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if units::is_hostile(c) {
            // All of these lie in the basic plane: one escape each.
            out.extend(format!("\\u{:04x}", u32::from(c)).chars());
        } else {
            out.push(c);
        }
    }
    out
}
