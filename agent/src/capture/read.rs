//! Reading a capture, which may be cut, damaged, or no capture at all.
use std::io::{self, BufRead, BufReader, Read};

use fragwatch_core::model::entry::{Entry, FORMAT, FORMAT_VERSION, Header};
use serde_json::Value;

/// No line is longer: zones and a stack are some KiB.
const MAX_LINE: usize = 1 << 20;

/// Page sizes that kernels have, in bytes: powers of two in between.
const PAGE_SIZES: std::ops::RangeInclusive<u64> = 4096..=1 << 20;

/// Why a capture can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input failed.
    #[error("could not read it: {0}")]
    Input(#[from] io::Error),
    /// Nothing is in it.
    #[error("it is empty: a capture has at least its header")]
    Empty,
    /// It is something else.
    #[error("it is no capture: its first line is not what `fragwatch trace --record` begins with")]
    NoCapture,
    /// It was written by a later fragwatch.
    #[error(
        "its format has number {0}, and this fragwatch knows those up to {FORMAT_VERSION}: replay \
         it with the version that wrote it"
    )]
    Newer(u64),
    /// It was written by an earlier fragwatch, with other names for what was seen.
    #[error(
        "its format has number {0}, and this fragwatch reads only {FORMAT_VERSION}: replay it with \
         the version that wrote it"
    )]
    Older(u64),
    /// Its first line is a header, and can't be understood.
    #[error("its header is damaged: {0}")]
    BadHeader(String),
}

/// What comes next in a capture.
#[derive(Debug)]
pub enum Next {
    /// An entry.
    Entry(Box<Entry>),
    /// A line that can't be read, with its number from 1 and why.
    Damaged(u64, String),
    /// The last line is cut off.
    Cut,
    /// Nothing.
    End,
}

/// Reads a capture's entries.
pub struct Reader {
    input: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    number: u64,
}

enum Line {
    Whole,
    /// Longer than any that was written; its rest is skipped.
    TooLong,
    /// Without the newline at its end.
    Cut,
    None,
}

impl Reader {
    /// Reads the header.
    pub fn open(input: Box<dyn Read>) -> Result<(Header, Self), ReadError> {
        let mut reader = Self { input: BufReader::new(input), line: Vec::new(), number: 0 };
        let header = match reader.line()? {
            Line::None => return Err(ReadError::Empty),
            Line::TooLong => return Err(ReadError::NoCapture),
            Line::Whole | Line::Cut => header(&reader.line)?,
        };
        Ok((header, reader))
    }

    /// Reads the next line.
    pub fn next_entry(&mut self) -> io::Result<Next> {
        let line = self.line()?;
        if matches!(line, Line::None) {
            return Ok(Next::End);
        }
        if matches!(line, Line::TooLong) {
            return Ok(Next::Damaged(self.number, "it is too long".to_owned()));
        }
        Ok(match serde_json::from_slice(&self.line) {
            Ok(entry) => Next::Entry(Box::new(entry)),
            Err(_) if matches!(line, Line::Cut) => Next::Cut,
            Err(error) => Next::Damaged(self.number, error.to_string()),
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
            Line::Whole
        } else if read > MAX_LINE {
            self.input.skip_until(b'\n')?;
            Line::TooLong
        } else {
            Line::Cut
        })
    }
}

fn header(line: &[u8]) -> Result<Header, ReadError> {
    let value: Value = serde_json::from_slice(line).map_err(|_| ReadError::NoCapture)?;
    if value["format"] != FORMAT {
        return Err(ReadError::NoCapture);
    }
    match value["format_version"].as_u64() {
        Some(number) if number > u64::from(FORMAT_VERSION) => return Err(ReadError::Newer(number)),
        Some(number) if number < u64::from(FORMAT_VERSION) => return Err(ReadError::Older(number)),
        _ => {}
    }
    let header: Header =
        serde_json::from_value(value).map_err(|error| ReadError::BadHeader(error.to_string()))?;
    if !header.page_size.is_power_of_two() || !PAGE_SIZES.contains(&header.page_size) {
        let sentence = format!("{} bytes are no page size", header.page_size);
        return Err(ReadError::BadHeader(sentence));
    }
    Ok(header)
}
