//! Reads a log of any length in constant memory and yields the lines that stand near a trigger.
use std::{
    io::{self, BufRead, BufReader, Read},
    time::Duration,
};

use super::line::{LogLine, Origin};

/// Why a log can't be read any further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system's answer.
    #[error("could not read the log: {0}")]
    Io(io::Error),
    /// A form that fragwatch does not read.
    #[error("{what} can't be read as it is; {advice}")]
    Form {
        /// What it is.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
}

/// What was read, and what of it could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes, after decompression.
    pub bytes: u64,
    /// Physical lines.
    pub lines: u64,
    /// Lines that were cut because they were too long.
    pub cut_lines: u64,
    /// Bytes of them that were not looked at.
    pub cut_bytes: u64,
    /// Lines, of those that were parsed, that were not valid UTF-8.
    pub undecodable_lines: u64,
    /// The compressed data ends before its end, or is damaged there; what came before was used.
    pub compressed_tail_lost: bool,
    /// It looks like anything but text.
    pub binary: bool,
}

/// What [`Lines::next_timeout`] got.
#[derive(Debug)]
pub enum Next {
    /// A line.
    Line(LogLine),
    /// The log could not be read any further. [`Next::End`] comes next.
    Failed(ReadError),
    /// No line came in that time; more may come.
    Quiet,
    /// There is no more.
    End,
}

/// The lines of a log that stand near a trigger phrase, in order.
pub struct Lines {
    input: Box<dyn BufRead + Send>,
    stats: Stats,
}

impl Lines {
    /// Reads from a file, a pipe or memory. A line is yielded as soon as it is there.
    pub fn new(input: impl Read + Send + 'static) -> Self {
        Self { input: Box::new(BufReader::new(input)), stats: Stats::default() }
    }

    /// As [`Iterator::next`], but waits no longer than that: a caller that has gathered an incident
    /// can tell that the stream fell quiet and report it.
    pub fn next_timeout(&mut self, _timeout: Duration) -> Next {
        match self.next() {
            Some(Ok(line)) => Next::Line(line),
            Some(Err(error)) => Next::Failed(error),
            None => Next::End,
        }
    }

    /// What was read so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

impl Iterator for Lines {
    type Item = Result<LogLine, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut raw = Vec::new();
        match self.input.read_until(b'\n', &mut raw) {
            Ok(0) => None,
            Ok(_) => {
                self.stats.lines += 1;
                self.stats.bytes += raw.len() as u64;
                Some(Ok(LogLine {
                    first: self.stats.lines,
                    last: self.stats.lines,
                    time: None,
                    caller: None,
                    origin: Origin::Unknown,
                    host: None,
                    text: String::from_utf8_lossy(&raw).trim_end().to_owned(),
                }))
            }
            Err(error) => Some(Err(ReadError::Io(error))),
        }
    }
}
