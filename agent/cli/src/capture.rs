//! Arguments of `capture` and `replay`.
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

use crate::{Format, duration};

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = REPLAY_EXIT_CODES)]
pub struct ReplayArgs {
    /// A capture written by `trace --record` or `capture export`, or the store of `serve`, such as
    /// /var/lib/fragwatch; - is standard input
    #[arg(value_name = "FILE|DIRECTORY")]
    pub file: String,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Report every creation, even if trace or serve did not
    #[arg(long)]
    pub all: bool,
    /// The time
    #[command(flatten)]
    pub window: WindowArgs,
}

const REPLAY_EXIT_CODES: &str = "\
Exit codes:
  0  the whole capture or store was reported
  1  it is truncated or damaged (the rest was reported), or the report could not be written
  2  wrong arguments, or a file or directory that can't be read, is no capture or store, or has
     another format version";

/// A time from which and until which is reported.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct WindowArgs {
    /// Leave out what is older: a time of day such as "2026-11-28 15:04", 15:04 or
    /// 2026-11-28T15:04:05Z, or how long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Leave out what is newer
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
}

/// Arguments of `capture`.
#[derive(Debug, Args)]
#[command(after_help = CAPTURE_EXIT_CODES)]
pub struct CaptureArgs {
    /// What to do
    #[command(subcommand)]
    pub command: CaptureCommand,
}

/// What is done with a store.
#[derive(Debug, Subcommand)]
pub enum CaptureCommand {
    /// List the files of a store
    List(StoreArgs),
    /// Check every line of a store
    Verify(StoreArgs),
    /// Write what a store holds as one capture, for `fragwatch replay` on another machine
    Export(ExportArgs),
}

/// A store.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// The store of `serve`
    #[arg(value_name = "DIRECTORY", default_value = "/var/lib/fragwatch")]
    pub directory: PathBuf,
}

/// Arguments of `capture export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The store
    #[command(flatten)]
    pub store: StoreArgs,
    /// Only this much time before the newest entry, such as 15m
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["since", "until"])]
    pub last: Option<std::time::Duration>,
    /// The time
    #[command(flatten)]
    pub window: WindowArgs,
    /// Write to this new file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

const CAPTURE_EXIT_CODES: &str = "\
Exit codes:
  0  done; verify: nothing is damaged
  1  verify found damage, or the store is damaged (the rest was exported), or the output could not be
     written
  2  wrong arguments, or a directory that can't be read, is no store, or has another format version";

/// Parses a time of day, or a duration before now.
fn moment(text: &str) -> Result<Timestamp, String> {
    let zoned = |at: civil::DateTime| at.to_zoned(TimeZone::system()).map(|at| at.timestamp());
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(ago) = text.parse::<SignedDuration>()
        && ago >= SignedDuration::ZERO
        && let Ok(at) = Timestamp::now().checked_sub(ago)
    {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<civil::DateTime>() {
        return zoned(at).map_err(|error| error.to_string());
    }
    let today = Timestamp::now().to_zoned(TimeZone::system()).date();
    if let Ok(time) = text.parse::<civil::Time>() {
        return zoned(today.to_datetime(time)).map_err(|error| error.to_string());
    }
    Err("not a time: write \"2026-11-28 15:04\", 15:04, 2026-11-28T15:04:05Z, or 2h for two hours \
         ago"
    .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_or_refused() {
        let at = "2026-11-28T15:04:05Z".parse().expect("a time");
        assert_eq!(moment("2026-11-28T15:04:05Z"), Ok(at));
        assert_eq!(moment("2026-11-28T16:04:05+01:00"), Ok(at));
        for local in ["2026-11-28 15:04", "2026-11-28T15:04:05", "2026-11-28", "15:04", "15:04:05"]
        {
            assert!(moment(local).is_ok(), "{local}");
        }
        let ago = moment("2h").expect("a duration");
        let age = Timestamp::now().duration_since(ago);
        assert!((7200..7300).contains(&age.as_secs()), "{age}");
        for wrong in ["", "yesterday", "25:00", "-5m", "2026-13-01", "99999999999999999h"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
