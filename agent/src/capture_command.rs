//! `fragwatch capture`: what the store of `serve` holds. Needs no privileges but to read it.
mod export;

use std::{
    io::{self, Write as _},
    path::Path,
};

use fragwatch_core::units::{bytes, grouped, printable};
use fragwatch_recorder::store::{
    Lane,
    read::{ReadError, SegmentInfo, segments, verify},
};
use jiff::{Timestamp, tz::TimeZone};

use crate::cli::{CaptureArgs, CaptureCommand};

/// How a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureResult {
    /// Nothing is damaged that was looked at.
    Complete,
    /// Something is.
    Damaged,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum CaptureCommandError {
    /// It can't be read, or is no store.
    #[error("could not read the store {name}: {error}")]
    Store {
        /// Its path.
        name: String,
        /// The reason.
        error: ReadError,
    },
    /// The output could not be written.
    #[error("could not write {}: {error}", .path.as_deref().unwrap_or("to standard output"))]
    Output {
        /// The file; `None` for standard output.
        path: Option<String>,
        /// The reason.
        error: io::Error,
    },
}

/// Runs the command.
pub fn run(args: &CaptureArgs) -> Result<CaptureResult, CaptureCommandError> {
    let result = match &args.command {
        CaptureCommand::List(store) => list(&store.directory),
        CaptureCommand::Verify(store) => verify_all(&store.directory),
        CaptureCommand::Export(args) => export::run(args),
    };
    match result {
        // stdout was closed.
        Err(CaptureCommandError::Output { path: None, error })
            if error.kind() == io::ErrorKind::BrokenPipe =>
        {
            Ok(CaptureResult::Complete)
        }
        result => result,
    }
}

fn store_error(directory: &Path) -> impl Fn(ReadError) -> CaptureCommandError + '_ {
    |error| CaptureCommandError::Store { name: directory.display().to_string(), error }
}

fn output_error(error: io::Error) -> CaptureCommandError {
    CaptureCommandError::Output { path: None, error }
}

/// A row per lane, then a row per segment.
fn list(directory: &Path) -> Result<CaptureResult, CaptureCommandError> {
    let segments = segments(directory).map_err(store_error(directory))?;
    let mut rows = Vec::new();
    for lane in Lane::ALL {
        let of_lane: Vec<&SegmentInfo> = segments.iter().filter(|of| of.lane == lane).collect();
        let size = of_lane.iter().map(|segment| segment.size).sum();
        let since = of_lane.iter().find_map(|segment| segment.begun);
        rows.push(format!(
            "{:9} {:>10} in {} segments{}\n",
            lane.name(),
            bytes(size),
            grouped(of_lane.len() as u64),
            since.map(|at| format!(" since {}", local(at))).unwrap_or_default(),
        ));
    }
    for segment in &segments {
        let state = match segment {
            SegmentInfo { corrupt: true, .. } => "set aside",
            SegmentInfo { sealed: true, .. } => "sealed",
            _ => "open",
        };
        rows.push(format!(
            "{:19} {:>10} {state:9} {}\n",
            segment.begun.map(local).unwrap_or_default(),
            bytes(segment.size),
            printable(&segment.path.display().to_string()),
        ));
    }
    io::stdout().write_all(rows.concat().as_bytes()).map_err(output_error)?;
    Ok(CaptureResult::Complete)
}

fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// What is damaged, then how much was looked at.
fn verify_all(directory: &Path) -> Result<CaptureResult, CaptureCommandError> {
    let segments = segments(directory).map_err(store_error(directory))?;
    let mut stdout = io::stdout().lock();
    let (mut entries, mut damaged) = (0, 0);
    for segment in &segments {
        let report = match verify(directory, segment) {
            Ok(report) => report,
            // The oldest one may have been deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(store_error(directory)(error.into())),
        };
        entries += report.entries;
        let version = report.other_version.map(|version| format!("it has format {version}"));
        let aside = segment.corrupt.then(|| "it was set aside".to_owned());
        let problems: Vec<String> =
            report.problems.into_iter().chain(version).chain(aside).collect();
        damaged += u64::from(!problems.is_empty());
        for problem in problems {
            let path = segment.path.display().to_string();
            writeln!(stdout, "{}: {}", printable(&path), printable(&problem))
                .map_err(output_error)?;
        }
    }
    let (all, entries) = (grouped(segments.len() as u64), grouped(entries));
    let rest = if damaged == 0 {
        "all are as they were written".to_owned()
    } else {
        format!("{} segments are damaged", grouped(damaged))
    };
    writeln!(stdout, "{entries} entries in {all} segments: {rest}").map_err(output_error)?;
    Ok(if damaged == 0 { CaptureResult::Complete } else { CaptureResult::Damaged })
}
