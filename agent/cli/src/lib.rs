//! The command line: commands, options, help texts and exit codes. A crate of its own, so that man pages
//! and completions can be generated without building the eBPF programs.
mod capture;
mod reproduce;
mod serve;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use fragwatch_core::model::kernel_version::KernelVersion;
use jiff::SignedDuration;

pub use capture::{CaptureArgs, CaptureCommand, ExportArgs, ReplayArgs, StoreArgs, WindowArgs};
pub use reproduce::{
    Expect, Fragmentation, Kind, MemcgIds, MemcgLimit, Memory, NetnsLimit, PidsLimit,
    ReproduceArgs, ReproduceCause, ReproduceFormat, Run, SlowCompaction,
};
pub use serve::{Listen, ServeArgs, Size, StorePlace};

/// Reports which container creations failed for lack of kernel memory, and why
#[derive(Debug, Parser)]
#[command(name = "fragwatch", version, arg_required_else_help = true, after_help = TRACE_EXIT_CODES)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Exit codes of `trace`, which the top-level help shows too.
const TRACE_EXIT_CODES: &str = "\
Exit codes:
  0  ended normally: SIGINT, SIGTERM, --duration, or stdout was closed
  1  ended early: the report could not be written, or the kernel's events not be read
  2  could not start: wrong arguments, missing capabilities, or a kernel that can't be traced";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the running kernel and report container creations that fail or stall
    Trace(TraceArgs),
    /// Watch the running kernel all the time: keep what led to failures, and serve metrics
    Serve(ServeArgs),
    /// Try every hook on this kernel, and report what can't be observed on it
    Doctor(DoctorArgs),
    /// Report failures found in kernel and runtime logs, and their causes; needs no privileges
    Explain(ExplainArgs),
    /// Repeat the report of a trace from its capture, or report what the store of `serve` holds; needs
    /// no privileges
    Replay(ReplayArgs),
    /// List, verify or export the store of `serve`; needs no privileges but to read it
    Capture(CaptureArgs),
    /// Check whether the next container could start now, as a monitoring plug-in; needs no privileges
    Check(CheckArgs),
    /// Bring this machine into a state in which containers can't be made, run a command, and report
    Reproduce(ReproduceArgs),
}

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
    /// JSON and text of each line together, for `reproduce`, which runs `trace`
    #[value(hide = true)]
    Relay,
}

/// Which kinds of hooks to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Preference {
    /// fentry and fexit where the kernel has them, else kprobes, else tracepoints
    #[default]
    Auto,
    /// kprobes and kretprobes instead of fentry and fexit
    Kprobe,
    /// Tracepoints only
    Tracepoint,
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
#[command(after_help = TRACE_EXIT_CODES)]
pub struct TraceArgs {
    /// Report every creation, and every failed or stalled high-order allocation on the node
    #[arg(long)]
    pub all: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// End after this time, such as 30s or "1h 30m"
    #[arg(long, value_parser = duration, allow_hyphen_values = true)]
    pub duration: Option<Duration>,
    /// Report creations that waited for memory longer than this: near misses
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10ms")]
    pub stall: Duration,
    /// How to attach: auto prefers fentry and fexit, which miss no return; tracepoint needs no kprobes
    /// and observes less
    #[arg(long, value_enum, default_value_t)]
    pub attach: Preference,
    /// Record all events in this new file, for `fragwatch replay`. The file grows without limit, by
    /// some KiB per creation. It holds names of processes, cgroups and kernel functions, and kernel
    /// addresses. An error while it is written is printed once and changes neither the trace nor its
    /// exit code
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

const DOCTOR_EXIT_CODES: &str = "\
Exit codes:
  0  full: trace observes everything
  1  degraded: trace runs, but can't observe everything
  2  trace can't run, or the report could not be written";

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXIT_CODES)]
pub struct ExplainArgs {
    /// Logs: dmesg, journalctl, syslog, kubelet, dockerd, pasted mail, also compressed; - or no file
    /// is standard input. Of a directory or a tar archive, such as a sosreport or must-gather, the
    /// logs in it. A copy of /proc/buddyinfo is shown as read at another time
    #[arg(value_name = "FILE|DIR")]
    pub files: Vec<String>,
    /// The kernel's release for logs that don't contain it, such as 3.10.0-514.el7.x86_64
    #[arg(long, value_name = "VERSION", value_parser = release)]
    pub kernel: Option<KernelVersion>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

const EXPLAIN_EXIT_CODES: &str = "\
Exit codes:
  0  all logs were read, whether or not a failure was found
  1  a log could not be read to its end (the others were), or the report could not be written
  2  wrong arguments";

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXIT_CODES)]
pub struct CheckArgs {
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// An order that containers need on this node, such as 6; may be given more than once. Default: the
    /// orders that `fragwatch trace` saw creations request, and order 1, which the kernel itself needs
    #[arg(long = "order", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub orders: Vec<u32>,
    /// Print one line for a custom plug-in of node-problem-detector, with its exit codes: 0 no problem,
    /// 1 problem, 2 unknown
    #[arg(long, conflicts_with = "format")]
    pub npd: bool,
}

const CHECK_EXIT_CODES: &str = "\
Exit codes:
  0  OK: enough free blocks of every order, and enough memory cgroup ids
  1  WARNING: few are left
  2  CRITICAL: an allocation of one of these orders, or a new memory cgroup, would fail now
  3  UNKNOWN: files could not be read; wrong arguments; or the report could not be written";

/// Major versions that are accepted, so that a date or another number is not taken for a release.
const MAJOR_VERSIONS: std::ops::Range<u32> = 2..100;

/// Parses a kernel's release.
fn release(text: &str) -> Result<KernelVersion, String> {
    let wrong = "not a kernel's release: write it as uname -r does, such as 5.10.0-37-amd64";
    let release = text.trim_start_matches('v');
    let version: KernelVersion = release.parse().map_err(|_| wrong.to_owned())?;
    if MAJOR_VERSIONS.contains(&version.series().0) { Ok(version) } else { Err(wrong.to_owned()) }
}

/// Parses a duration, which must be longer than zero.
pub fn duration(text: &str) -> Result<Duration, String> {
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
    fn durations_are_parsed_or_refused() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        for wrong in ["", "5", "-5", "0s", "-5s", "five", "30 parsecs", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_definition_is_valid() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
