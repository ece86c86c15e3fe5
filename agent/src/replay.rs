//! `fragwatch replay`: the report of a trace from its capture, or of what the store of `serve` holds.
//! Needs no privileges.
mod report;
mod window;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use fragwatch_core::{model::entry::Entry, units::printable};
use fragwatch_recorder::store::read::{Item, ReadError, Reader};

use self::report::Report;
use crate::{
    capture::{CaptureError, CaptureItem, CaptureReader},
    cli::ReplayArgs,
};

pub(crate) use self::window::Window;

/// Damaged places that are reported each; the rest is a number.
const MAX_DAMAGE: usize = 5;

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
    /// It can't be read, or is no store.
    #[error("could not replay the directory {name}: {error}")]
    Store {
        /// Its path.
        name: String,
        /// The reason.
        error: ReadError,
    },
    /// The report could not be written.
    #[error("could not write the report to standard output: {0}")]
    Report(io::Error),
}

/// Reads a capture or a store and writes its report to standard output; warnings about damage go to
/// standard error.
pub fn run(args: &ReplayArgs) -> Result<ReplayResult, ReplayError> {
    let result = if args.file != "-" && Path::new(&args.file).is_dir() {
        let open_error = |error| ReplayError::Store { name: args.file.clone(), error };
        let reader = Reader::open(Path::new(&args.file)).map_err(open_error)?;
        replay_store(reader, args)
    } else {
        let name = if args.file == "-" { "standard input" } else { &args.file };
        let open_error = |error| ReplayError::Open { name: name.to_owned(), error };
        let input = open(&args.file).map_err(|error| open_error(error.into()))?;
        let (header, reader) = CaptureReader::open(input).map_err(open_error)?;
        let mut report = Report::new(args, false);
        report.begin(header).and_then(|()| replay_capture(reader, report, name))
    };
    match result {
        Ok(result) => Ok(result),
        // stdout was closed.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ReplayResult::Complete),
        Err(error) => Err(ReplayError::Report(error)),
    }
}

fn open(file: &str) -> io::Result<Box<dyn Read>> {
    if file == "-" {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(file)?))
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

/// Reports all entries of a capture that can be read.
fn replay_capture(
    mut reader: CaptureReader,
    mut report: Report,
    name: &str,
) -> io::Result<ReplayResult> {
    let mut damage = Damage::default();
    let mut ended = false;
    loop {
        let entry = match reader.next_item() {
            Ok(CaptureItem::Header(header)) => {
                // A run of `serve` that was killed has no end.
                report.begin(*header)?;
                ended = false;
                continue;
            }
            Ok(CaptureItem::Entry(entry)) if ended && !entry.is_beside() => break,
            Ok(CaptureItem::Entry(entry)) => *entry,
            _ if ended => break,
            Ok(CaptureItem::Damaged { line, reason }) => {
                damage.lines += 1;
                damage.first.get_or_insert((line, reason));
                report.missing_entry();
                continue;
            }
            Ok(CaptureItem::Truncated) => damage.end_early("its last line is truncated".to_owned()),
            Ok(CaptureItem::End) => damage.end_early(
                "the trace that wrote it was killed, or the file is truncated".to_owned(),
            ),
            Err(error) => damage.end_early(format!("it could not be read further: {error}")),
        };
        ended |= matches!(entry, Entry::End { .. });
        report.entry(entry)?;
        if damage.no_end.is_some() {
            break;
        }
    }
    report.finish()?;
    damage.warn(name);
    Ok(damage.result())
}

/// Reports all runs of a store.
fn replay_store(mut reader: Reader, args: &ReplayArgs) -> io::Result<ReplayResult> {
    let mut report = Report::new(args, true);
    let mut damaged = 0;
    while let Some(item) = reader.next_item() {
        match item {
            Item::Run(header) => report.begin(*header)?,
            Item::Entry(entry) => report.entry(*entry)?,
            Item::Damaged(text) => {
                report.missing_entry();
                if damaged < MAX_DAMAGE {
                    anstream::eprintln!("fragwatch: {}: {}", args.file, printable(&text));
                }
                damaged += 1;
            }
        }
    }
    report.finish()?;
    if damaged > MAX_DAMAGE {
        anstream::eprintln!("fragwatch: {}: {damaged} such places in all", args.file);
    }
    if report.is_empty() {
        let has_window = args.window.since.or(args.window.until).is_some();
        anstream::eprintln!(
            "fragwatch: {}: no failure in {} runs of serve{}; --all reports every creation",
            args.file,
            report.runs(),
            if has_window { " in that time" } else { "" },
        );
    }
    Ok(if damaged == 0 { ReplayResult::Complete } else { ReplayResult::Partial })
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
