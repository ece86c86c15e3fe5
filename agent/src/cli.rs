//! The command line: parsed first, then turned into what is to be done.
use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use fragwatch_core::model::kernel_version::KernelVersion;
use fragwatch_klog::parse::trace::is_release;
use jiff::SignedDuration;

use crate::hook::Preference;

/// Says which container creation the kernel could not find memory for, and why.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Shown under the help.
const EXIT_CODES: &str = "\
Exit codes:
  0  it ended as asked: SIGINT, SIGTERM, --duration, or nobody reads the report any more
  1  it ended early: the report could not be written, or the kernel's events not be read
  2  it could not begin: wrong arguments, missing capabilities, or a kernel that can't be traced";

/// What fragwatch can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the running kernel and tell of container creations that met trouble
    Trace(TraceArgs),
    /// Tell what this kernel lets fragwatch see, by trying, and what is lost without the rest
    Doctor(DoctorArgs),
    /// Tell what kernel logs say of failures, and why they happened; needs no rights
    Explain(ExplainArgs),
    /// Tell again what a capture holds, as trace told it; needs no rights
    Replay(ReplayArgs),
    /// Tell whether the next container could start now; for monitoring; needs no rights
    Check(CheckArgs),
}

/// How `trace` reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One object a line
    Json,
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Tell of every creation, and of every failed or stalled high-order allocation on the node
    #[arg(long)]
    pub all: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// End after this time, such as 30s or "1h 30m"
    #[arg(long, value_parser = duration, allow_hyphen_values = true)]
    pub duration: Option<Duration>,
    /// How to attach: auto prefers fentry and fexit, which miss no return; tracepoint works without
    /// kprobes and sees less
    #[arg(long, value_enum, default_value_t)]
    pub attach: Preference,
    /// Keep all that is seen in this new file, for `fragwatch replay`. It is meant for an incident:
    /// it grows without limit, by some KiB for each creation. It holds names of processes, cgroups
    /// and kernel functions, and the kernel's addresses. An error while it is written is told once
    /// and changes neither the trace nor its exit code
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = DOCTOR_EXIT_CODES)]
pub struct DoctorArgs {
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// How to attach, as for trace
    #[arg(long, value_enum, default_value_t)]
    pub attach: Preference,
}

/// Shown under the help of `doctor`.
const DOCTOR_EXIT_CODES: &str = "\
Exit codes:
  0  trace sees all that it looks for
  1  trace runs, and does not see all of it
  2  trace can't run, or the report could not be written";

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXIT_CODES)]
pub struct ExplainArgs {
    /// Logs: dmesg, journalctl, syslog, kubelet, dockerd, pasted mail, also compressed; - or none
    /// is standard input. A copy of /proc/buddyinfo is taken as read at another time
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
    /// The kernel's release where the log doesn't say it, such as 3.10.0-514.el7.x86_64
    #[arg(long, value_name = "VERSION", value_parser = release)]
    pub kernel: Option<KernelVersion>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Shown under the help of `explain`.
const EXPLAIN_EXIT_CODES: &str = "\
Exit codes:
  0  all logs were read, whether something was found or not
  1  a log could not be read, or not to its end (the others were), or the report not be written
  2  wrong arguments";

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = REPLAY_EXIT_CODES)]
pub struct ReplayArgs {
    /// What `trace --record` wrote; - is standard input
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Tell of every creation, even if trace did not
    #[arg(long)]
    pub all: bool,
}

/// Shown under the help of `replay`.
const REPLAY_EXIT_CODES: &str = "\
Exit codes:
  0  the whole capture was told
  1  the capture is cut or damaged (what could be read was told), or the report could not be written
  2  wrong arguments, or a file that can't be read, is no capture, or is a later version's";

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXIT_CODES)]
pub struct CheckArgs {
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// An order that containers need here, such as 6; may be given more than once. Without it: what
    /// `fragwatch trace` saw creations on this node ask for, and what the kernel itself needs
    #[arg(long = "order", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub orders: Vec<u32>,
}

/// Shown under the help of `check`.
const CHECK_EXIT_CODES: &str = "\
Exit codes:
  0  OK: every order can be had, and memory cgroup ids are left
  1  WARNING: it is tight
  2  CRITICAL: an allocation of one of these orders, or a new memory cgroup, would fail as things are
  3  UNKNOWN: it could not be found out; wrong arguments; or the report could not be written";

/// A kernel's release of the command line.
fn release(text: &str) -> Result<KernelVersion, String> {
    let wrong = "not a kernel's release: write it as uname -r does, such as 5.10.0-37-amd64";
    let release = text.trim_start_matches('v');
    let version = is_release(release).then(|| release.parse().ok()).flatten();
    version.ok_or_else(|| wrong.to_owned())
}

/// A duration of the command line, longer than zero.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = "not a duration: write it with its unit, such as 30s, 5m or 1h";
    let duration: SignedDuration = text.parse().map_err(|_| wrong.to_owned())?;
    if duration <= SignedDuration::ZERO {
        return Err("must be longer than zero".to_owned());
    }
    Ok(duration.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(release("v6.1").map(|version| version.to_string()), Ok("6.1".to_owned()));
        assert_eq!(
            release("3.10.0-514.el7.x86_64").map(|version| version.to_string()),
            Ok("3.10.0-514.el7.x86_64".to_owned())
        );
        assert!(release("el7").is_err());
        assert!(release("").is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        for wrong in ["", "5", "-5", "0s", "-5s", "five", "30 parsecs", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
