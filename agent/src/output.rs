//! Where reports go.
use std::io;

use fragwatch_core::report::{self, Json, Text};
use jiff::tz::TimeZone;

use crate::cli::Format;

/// The report of what was recorded, on standard output.
pub fn replayed_to_stdout(format: Format) -> Box<dyn report::Format> {
    match format {
        Format::Text => Box::new(Text::new(anstream::stdout(), TimeZone::system()).replayed()),
        Format::Json => to_stdout(format),
    }
}

/// The report on standard output.
pub fn to_stdout(format: Format) -> Box<dyn report::Format> {
    match format {
        Format::Text => Box::new(Text::new(anstream::stdout(), TimeZone::system())),
        Format::Json => Box::new(Json::new(io::stdout())),
    }
}
