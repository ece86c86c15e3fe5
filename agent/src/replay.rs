//! `fragwatch replay`: from a capture to the report that the trace made. Needs no rights and no
//! kernel that can be traced.
use std::{
    fs::File,
    io::{self, Read},
    mem,
};

use fragwatch_core::{model::entry::Entry, pipeline::Pipeline};

use crate::{
    capture::{Next, ReadError, Reader},
    cli::ReplayArgs,
    output,
};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All of the capture was told.
    Whole,
    /// It is cut or damaged; the rest was told.
    Partly,
}

/// Why it was not told.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It could not begin.
    #[error("could not replay {name}: {error}")]
    Begin {
        /// The capture, as people call it.
        name: String,
        /// Why.
        error: ReadError,
    },
    /// The report could not be written.
    #[error("could not write the report to standard output: {0}")]
    Report(io::Error),
}

/// Reads a capture and reports what is in it.
pub fn run(args: &ReplayArgs) -> Result<Ended, ReplayError> {
    let name = if args.file == "-" { "standard input" } else { &args.file };
    let begin = |error| ReplayError::Begin { name: name.to_owned(), error };
    let input = open(&args.file).map_err(|error| begin(error.into()))?;
    let (mut header, reader) = Reader::open(input).map_err(begin)?;
    header.all |= args.all;
    let report = output::to_stdout(args.format);
    match tell(reader, &mut Pipeline::new(header, report)) {
        Ok(damage) => Ok(damage.say(name)),
        // Nobody reads any more: that is an end like another.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ended::Whole),
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

/// What of a capture could not be told.
#[derive(Debug, Default)]
struct Damage {
    /// Lines that could not be read, and the first of them with the reason.
    lines: u64,
    first: Option<(u64, String)>,
    /// It has no end, and why.
    no_end: Option<String>,
}

/// Tells all that can be read.
fn tell(mut reader: Reader, pipeline: &mut Pipeline) -> io::Result<Damage> {
    let mut damage = Damage::default();
    let mut stories = Vec::new();
    let mut ended = false;
    pipeline.ready()?;
    loop {
        let entry = match reader.next_entry() {
            Ok(Next::Entry(entry)) if ended && !entry.is_beside() => break,
            Ok(Next::Entry(entry)) => *entry,
            _ if ended => break,
            Ok(Next::Damaged(line, why)) => {
                damage.lines += 1;
                damage.first.get_or_insert((line, why));
                pipeline.lose();
                continue;
            }
            Ok(Next::Cut) => damage.early("its last line is cut off".to_owned()),
            Ok(Next::End) => damage.early("who wrote it was killed, or it is cut".to_owned()),
            Err(error) => damage.early(format!("it could not be read on: {error}")),
        };
        if !entry.is_beside() {
            pipeline.tell(mem::take(&mut stories))?;
        }
        ended |= matches!(entry, Entry::End { .. });
        stories.extend(pipeline.apply(entry)?);
        if damage.no_end.is_some() {
            break;
        }
    }
    pipeline.tell(stories)?;
    pipeline.summary()?;
    Ok(damage)
}

impl Damage {
    /// The end that is missing.
    fn early(&mut self, why: String) -> Entry {
        self.no_end = Some(why);
        Entry::End { outside: None }
    }

    /// Says it on standard error.
    fn say(self, name: &str) -> Ended {
        if let Some((line, why)) = &self.first {
            anstream::eprintln!(
                "fragwatch: {} lines of {name} could not be read and are left out; the first is \
                 line {line}: {}",
                self.lines,
                fragwatch_core::units::printable(why)
            );
        }
        if let Some(why) = &self.no_end {
            anstream::eprintln!("fragwatch: {name} ends early: {why}; the rest of it was told");
        }
        if self.lines == 0 && self.no_end.is_none() { Ended::Whole } else { Ended::Partly }
    }
}
