//! Reading a capture, which may be truncated, damaged, or no capture at all.
use std::io::{self, BufRead, BufReader, Read};

use fragwatch_core::model::entry::{Entry, FORMAT, FORMAT_VERSION, Header};
use serde_json::Value;

/// Longest line that is read, in bytes. Zones and a stack take some KiB.
const MAX_LINE: usize = 1 << 20;

/// What a header begins with. No entry does.
const HEADER: &[u8] = b"{\"format\":";

/// Page sizes that are accepted, in bytes; powers of two only.
const PAGE_SIZES: std::ops::RangeInclusive<u64> = 4096..=1 << 20;

/// Why a capture can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The input can't be read.
    #[error("could not read it: {0}")]
    Input(#[from] io::Error),
    /// The input has no line.
    #[error("it is empty: a capture has at least its header")]
    Empty,
    /// The input is something else.
    #[error("it is no capture: its first line is not what `fragwatch trace --record` begins with")]
    NoCapture,
    /// It was written by a later fragwatch.
    #[error(
        "its format has number {0}, and this fragwatch knows those up to {FORMAT_VERSION}: replay \
         it with the version that wrote it"
    )]
    Newer(u64),
    /// It was written by an earlier fragwatch, in a format with other names.
    #[error(
        "its format has number {0}, and this fragwatch reads only {FORMAT_VERSION}: replay it with \
         the version that wrote it"
    )]
    Older(u64),
    /// Its first line is a header, but not a valid one.
    #[error("its header is damaged: {0}")]
    BadHeader(String),
}

/// An item of a capture.
#[derive(Debug)]
pub enum CaptureItem {
    /// A valid entry.
    Entry(Box<Entry>),
    /// A further header: what follows is of another run of `serve`.
    Header(Box<Header>),
    /// A line that is no valid entry.
    Damaged {
        /// The line's number; the header is line 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The last line is no valid entry and has no newline.
    Truncated,
    /// The end of the input.
    End,
}

/// Reads a capture's entries.
pub struct CaptureReader {
    input: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    number: u64,
}

enum Line {
    Complete,
    /// Longer than [`MAX_LINE`]; its rest was skipped.
    TooLong,
    /// The input ends without a newline.
    Truncated,
    None,
}

impl CaptureReader {
    /// Reads and checks the header.
    pub fn open(input: Box<dyn Read>) -> Result<(Header, Self), CaptureError> {
        let mut reader = Self { input: BufReader::new(input), line: Vec::new(), number: 0 };
        let header = match reader.line()? {
            Line::None => return Err(CaptureError::Empty),
            Line::TooLong => return Err(CaptureError::NoCapture),
            Line::Complete | Line::Truncated => header(&reader.line)?,
        };
        Ok((header, reader))
    }

    /// Reads the next line.
    ///
    /// # Errors
    /// If the input can't be read.
    pub fn next_item(&mut self) -> io::Result<CaptureItem> {
        let line = self.line()?;
        let damaged = |line, reason| CaptureItem::Damaged { line, reason };
        if matches!(line, Line::None) {
            return Ok(CaptureItem::End);
        }
        if matches!(line, Line::TooLong) {
            return Ok(damaged(self.number, "it is too long".to_owned()));
        }
        if self.line.starts_with(HEADER) {
            return Ok(match header(&self.line) {
                Ok(header) => CaptureItem::Header(Box::new(header)),
                Err(error) => damaged(self.number, error.to_string()),
            });
        }
        Ok(match serde_json::from_slice(&self.line) {
            Ok(entry) => CaptureItem::Entry(Box::new(entry)),
            Err(_) if matches!(line, Line::Truncated) => CaptureItem::Truncated,
            Err(error) => damaged(self.number, error.to_string()),
        })
    }

    fn line(&mut self) -> io::Result<Line> {
        self.line.clear();
        self.number += 1;
        let limit = MAX_LINE as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.line)?;
        Ok(if read == 0 {
            Line::None
        } else if self.line.ends_with(b"\n") {
            Line::Complete
        } else if read > MAX_LINE {
            self.input.skip_until(b'\n')?;
            Line::TooLong
        } else {
            Line::Truncated
        })
    }
}

fn header(line: &[u8]) -> Result<Header, CaptureError> {
    let value: Value = serde_json::from_slice(line).map_err(|_| CaptureError::NoCapture)?;
    if value["format"] != FORMAT {
        return Err(CaptureError::NoCapture);
    }
    match value["format_version"].as_u64() {
        Some(number) if number > u64::from(FORMAT_VERSION) => {
            return Err(CaptureError::Newer(number));
        }
        Some(number) if number < u64::from(FORMAT_VERSION) => {
            return Err(CaptureError::Older(number));
        }
        _ => {}
    }
    let header: Header = serde_json::from_value(value)
        .map_err(|error| CaptureError::BadHeader(error.to_string()))?;
    if !header.page_size.is_power_of_two() || !PAGE_SIZES.contains(&header.page_size) {
        let sentence = format!("{} bytes are no page size", header.page_size);
        return Err(CaptureError::BadHeader(sentence));
    }
    Ok(header)
}
