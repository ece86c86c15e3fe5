//! `fragwatch replay`: the report of a trace from its capture. Needs no privileges.
use std::{
    fs::File,
    io::{self, Read},
    mem,
};

use fragwatch_core::{model::entry::Entry, pipeline::Pipeline, units::printable};

use crate::{
    capture::{CaptureError, CaptureItem, CaptureReader},
    cli::ReplayArgs,
    output,
};

/// How much of a capture was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayResult {
    /// All of it, or all until stdout was closed.
    Complete,
    /// It is truncated or damaged; the rest was reported.
    Partial,
}

/// Why a capture was not reported.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It can't be read, or is no capture.
    #[error("could not replay {name}: {error}")]
    Open {
        /// The capture's path, or "standard input".
        name: String,
        /// The reason.
        error: CaptureError,
    },
    /// The report could not be written.
    #[error("could not write the report to standard output: {0}")]
    Report(io::Error),
}

/// Reads a capture and writes its report to standard output; warnings about damage go to standard
/// error.
pub fn run(args: &ReplayArgs) -> Result<ReplayResult, ReplayError> {
    let name = if args.file == "-" { "standard input" } else { &args.file };
    let open_error = |error| ReplayError::Open { name: name.to_owned(), error };
    let input = open(&args.file).map_err(|error| open_error(error.into()))?;
    let (mut header, reader) = CaptureReader::open(input).map_err(open_error)?;
    header.all |= args.all;
    let report = output::to_stdout(args.format);
    match replay(reader, &mut Pipeline::new(header, report)) {
        Ok(damage) => {
            damage.warn(name);
            Ok(damage.result())
        }
        // stdout was closed.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ReplayResult::Complete),
        Err(error) => Err(ReplayError::Report(error)),
    }
}

fn open(file: &str) -> io::Result<Box<dyn Read>> {
    if file == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(file)?;
    if opened.metadata()?.is_dir() {
        return Err(io::Error::other("it is a directory: name the capture in it"));
    }
    Ok(Box::new(opened))
}

/// What of a capture could not be read.
#[derive(Debug, Default)]
struct Damage {
    /// Damaged lines.
    lines: u64,
    /// The number of the first damaged line, and what is wrong with it.
    first: Option<(u64, String)>,
    /// Why the capture has no end entry; `None` if it has one.
    no_end: Option<String>,
}

/// Reports all entries that can be read.
fn replay(mut reader: CaptureReader, pipeline: &mut Pipeline) -> io::Result<Damage> {
    let mut damage = Damage::default();
    let mut correlated = Vec::new();
    let mut ended = false;
    pipeline.ready()?;
    loop {
        let entry = match reader.next_item() {
            Ok(CaptureItem::Entry(entry)) if ended && !entry.is_beside() => break,
            Ok(CaptureItem::Entry(entry)) => *entry,
            _ if ended => break,
            Ok(CaptureItem::Damaged { line, reason }) => {
                damage.lines += 1;
                damage.first.get_or_insert((line, reason));
                pipeline.note_missing_entry();
                continue;
            }
            Ok(CaptureItem::Truncated) => damage.end_early("its last line is truncated".to_owned()),
            Ok(CaptureItem::End) => damage.end_early(
                "the trace that wrote it was killed, or the file is truncated".to_owned(),
            ),
            Err(error) => damage.end_early(format!("it could not be read further: {error}")),
        };
        // Entries beside it, such as names, come after the event that completes a creation.
        if !entry.is_beside() {
            pipeline.report(mem::take(&mut correlated))?;
        }
        ended |= matches!(entry, Entry::End { .. });
        correlated.extend(pipeline.apply(entry)?);
        if damage.no_end.is_some() {
            break;
        }
    }
    pipeline.report(correlated)?;
    pipeline.summary()?;
    Ok(damage)
}

impl Damage {
    /// Notes that the end entry is missing and returns one in its place.
    fn end_early(&mut self, reason: String) -> Entry {
        self.no_end = Some(reason);
        Entry::End { outside: None, creations: None }
    }

    fn warn(&self, name: &str) {
        if let Some((line, reason)) = &self.first {
            anstream::eprintln!(
                "fragwatch: {} lines of {name} could not be read and are ignored; the first is \
                 line {line}: {}",
                self.lines,
                printable(reason)
            );
        }
        if let Some(reason) = &self.no_end {
            anstream::eprintln!("fragwatch: {name} ends early: {reason}; the rest was reported");
        }
    }

    fn result(&self) -> ReplayResult {
        if self.lines == 0 && self.no_end.is_none() {
            ReplayResult::Complete
        } else {
            ReplayResult::Partial
        }
    }
}
