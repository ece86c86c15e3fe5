//! Where reports go.
use std::io;

use fragwatch_core::report::{self, Json, Text};
use jiff::tz::TimeZone;

use crate::{cli::Format, reproduce::relay::Relay};

/// The report of what was recorded, on standard output.
pub fn replayed_to_stdout(format: Format) -> Box<dyn report::Format> {
    match format {
        Format::Text => Box::new(Text::new(anstream::stdout(), TimeZone::system()).replayed()),
        Format::Json | Format::Relay => to_stdout(format),
    }
}

/// The report on standard output.
pub fn to_stdout(format: Format) -> Box<dyn report::Format> {
    let text = matches!(format, Format::Text);
    let out: Box<dyn io::Write> =
        if text { Box::new(anstream::stdout()) } else { Box::new(io::stdout()) };
    to(out, format)
}

/// The same report, by the same code, written to nowhere.
pub fn to_nowhere(format: Format) -> Box<dyn report::Format> {
    to(Box::new(io::sink()), format)
}

fn to(out: Box<dyn io::Write>, format: Format) -> Box<dyn report::Format> {
    match format {
        Format::Text => Box::new(Text::new(out, TimeZone::system())),
        Format::Json => Box::new(Json::new(out)),
        Format::Relay => Box::new(Relay::new(out, TimeZone::system())),
    }
}
