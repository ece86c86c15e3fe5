//! The output of `trace` and `replay`.
use std::io;

use fragwatch_core::report::{Json, Report, Text};
use jiff::tz::TimeZone;

use crate::cli::Format;

/// A report that writes to standard output. `page_size` is that of the traced kernel, in bytes.
pub fn to_stdout(format: Format, page_size: u64) -> Box<dyn Report> {
    match format {
        Format::Text => Box::new(Text::new(anstream::stdout(), page_size, TimeZone::system())),
        Format::Json => Box::new(Json::new(io::stdout(), page_size)),
    }
}
