//! Where reports go.
use std::io;

use fragwatch_core::report::{Json, Report, Text};
use jiff::tz::TimeZone;

use crate::cli::Format;

/// The report on standard output.
pub fn to_stdout(format: Format, page_size: u64) -> Box<dyn Report> {
    match format {
        Format::Text => Box::new(Text::new(anstream::stdout(), page_size, TimeZone::system())),
        Format::Json => Box::new(Json::new(io::stdout(), page_size)),
    }
}
