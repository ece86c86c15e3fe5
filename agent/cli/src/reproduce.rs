//! The command line of `reproduce`.
use std::{ffi::OsString, fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use fragwatch_core::model::verdict::Cause;

use crate::duration;

const EXIT_CODES: &str = "\
Exit codes:
  0  as expected; without --expect: COMMAND succeeded
  1  not as expected; without --expect: COMMAND failed, or ran into --timeout
  2  the state could not be reached, COMMAND could not be started, the machine is not one to break, or
     wrong arguments";

/// Arguments of `reproduce`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ReproduceArgs {
    /// The cause to reproduce.
    #[command(subcommand)]
    pub cause: ReproduceCause,
}

/// The causes that can be reproduced.
#[derive(Debug, Subcommand)]
pub enum ReproduceCause {
    /// Free memory, but no free block of an order
    #[command(after_help = EXIT_CODES)]
    Fragmentation(Fragmentation),
    /// Hardly any free memory
    #[command(after_help = EXIT_CODES)]
    Exhaustion(Memory),
    /// A cgroup at its memory limit; containers are to be made below it
    #[command(after_help = EXIT_CODES)]
    MemcgLimit(MemcgLimit),
    /// All ids of memory cgroups in use, or nearly all; takes minutes and 4 GiB of memory
    #[command(after_help = EXIT_CODES)]
    MemcgIds(MemcgIds),
    /// The limit on network namespaces reached
    #[command(after_help = EXIT_CODES)]
    NetnsLimit(NetnsLimit),
    /// A cgroup at its limit of processes; containers are to be made below it
    #[command(after_help = EXIT_CODES)]
    PidsLimit(PidsLimit),
    /// Free memory in single pages only, so that processes are killed when one more is made
    #[command(after_help = EXIT_CODES)]
    OomFragmentation(Memory),
    /// Free memory that compaction can put together, so that an allocation waits for it and succeeds
    #[command(after_help = EXIT_CODES)]
    SlowCompaction(SlowCompaction),
}

/// Arguments of `reproduce fragmentation`.
#[derive(Debug, Args)]
pub struct Fragmentation {
    /// The order of which no free block is left; 6 is 256 KiB
    #[arg(long, value_name = "N", required_unless_present_any = ["like", "save"])]
    pub order: Option<u32>,
    /// Free memory that is left, in smaller blocks [default: 64M, or more where the kernel's watermarks are
    /// high]
    #[arg(long, value_name = "SIZE", value_parser = kib)]
    pub keep: Option<u64>,
    /// What lies between the free pages
    #[arg(long, value_enum, default_value_t)]
    pub kind: Kind,
    /// Blocks of that order that are left nevertheless
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub left: u64,
    /// Approach the free blocks of another machine, per order: a file of --save, a copy of its
    /// /proc/buddyinfo, or what `serve` recorded there, a capture or its store: the last sample before a failure
    #[arg(long, value_name = "FILE", conflicts_with_all = ["order", "left"])]
    pub like: Option<PathBuf>,
    /// Save the free blocks of this machine as they are now in this new file, for --like, and end; with
    /// --like, those of that machine
    #[arg(long, value_name = "FILE", conflicts_with_all = ["order", "keep", "left", "command"])]
    pub save: Option<PathBuf>,
    /// What is common to all causes.
    #[command(flatten)]
    pub run: Run,
}

/// What lies between the free pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Locked pages, which compaction leaves where they are
    #[default]
    Pinned,
    /// Pages of a file in memory, which compaction can move
    PageCache,
    /// Small objects of the kernel, which nothing can move
    Slab,
}

/// Arguments of causes that leave an amount of memory.
#[derive(Debug, Args)]
pub struct Memory {
    /// Free memory that is left [default: 64M, or more where the kernel's watermarks are high]
    #[arg(long, value_name = "SIZE", value_parser = kib)]
    pub keep: Option<u64>,
    /// What is common to all causes.
    #[command(flatten)]
    pub run: Run,
}

/// Arguments of `reproduce memcg-limit`.
#[derive(Debug, Args)]
pub struct MemcgLimit {
    /// How much more memory the cgroup may take
    #[arg(long, value_name = "SIZE", value_parser = kib, default_value = "64K")]
    pub headroom: u64,
    /// The cgroup, which is made for this; COMMAND finds its path in $FRAGWATCH_CGROUP
    #[arg(long, value_name = "PATH", value_parser = cgroup, default_value = CGROUP)]
    pub cgroup: String,
    /// What is common to all causes.
    #[command(flatten)]
    pub run: Run,
}

/// Arguments of `reproduce memcg-ids`.
#[derive(Debug, Args)]
pub struct MemcgIds {
    /// Ids that are left
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub left: u32,
    /// What is common to all causes.
    #[command(flatten)]
    pub run: Run,
}

/// Arguments of `reproduce netns-limit`.
#[derive(Debug, Args)]
pub struct NetnsLimit {
    /// Network namespaces that can still be made
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub left: u64,
    /// What is common to all causes.
    #[command(flatten)]
    pub run: Run,
}

/// Arguments of `reproduce pids-limit`.
#[derive(Debug, Args)]
pub struct PidsLimit {
    /// Processes that the cgroup may have
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub max: u64,
    /// The cgroup, which is made for this; COMMAND finds its path in $FRAGWATCH_CGROUP
    #[arg(long, value_name = "PATH", value_parser = cgroup, default_value = CGROUP)]
    pub cgroup: String,
    /// What is common to all causes.
    #[command(flatten)]
    pub run: Run,
}

/// Arguments of `reproduce slow-compaction`.
#[derive(Debug, Args)]
pub struct SlowCompaction {
    /// The order of which no free block is left
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub order: u32,
    /// Free memory that is left, in smaller blocks [default: as for fragmentation]
    #[arg(long, value_name = "SIZE", value_parser = kib)]
    pub keep: Option<u64>,
    /// What is common to all causes.
    #[command(flatten)]
    pub run: Run,
}

/// The cgroup of limits, unless another one is given.
const CGROUP: &str = "/fragwatch-reproduce";

/// What is common to all causes.
#[derive(Debug, Args)]
pub struct Run {
    /// What must happen for exit code 0: `ok` (COMMAND succeeds and no container's creation fails),
    /// `fail:CAUSE` (a creation fails for that cause, or has processes killed; whether COMMAND makes up
    /// for it is not judged), `handled:CAUSE` (the same, and COMMAND succeeds), or `stall` (none fails, and
    /// one waits for memory)
    #[arg(long, value_name = "WHAT")]
    pub expect: Option<Expect>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: ReproduceFormat,
    /// Record all events in this new file, as `trace --record`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// End COMMAND after this time
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
    pub timeout: Duration,
    /// Keep the state for this time after COMMAND has ended, or without COMMAND
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub hold: Option<Duration>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do it on this machine although it does not look like a virtual machine to be thrown away
    #[arg(long)]
    pub this_machine_may_break: bool,
    /// The command to run, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The form of the report of `reproduce`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReproduceFormat {
    /// Text for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
    /// JUnit XML, with one test case
    Junit,
    /// Text with workflow commands of GitHub Actions, and a job summary in $GITHUB_STEP_SUMMARY
    Github,
}

/// What must happen for exit code 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// COMMAND succeeds, and no creation fails.
    Ok,
    /// A creation fails for that cause.
    Fail(Cause),
    /// A creation fails for that cause, and COMMAND succeeds.
    Handled(Cause),
    /// No creation fails, and one waits for memory.
    Stall,
}

impl FromStr for Expect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "ok" => Ok(Self::Ok),
            None if text == "stall" => Ok(Self::Stall),
            Some(("fail", name)) => cause(name).map(Self::Fail),
            Some(("handled", name)) => cause(name).map(Self::Handled),
            _ => Err("write ok, stall, fail:CAUSE or handled:CAUSE, such as fail:fragmentation"
                .to_owned()),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Stall => f.write_str("stall"),
            Self::Fail(cause) => write!(f, "fail:{}", cause.name()),
            Self::Handled(cause) => write!(f, "handled:{}", cause.name()),
        }
    }
}

fn cause(name: &str) -> Result<Cause, String> {
    Cause::ALL.iter().copied().find(|cause| cause.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        format!("there is no cause {name}; there are {}", names.join(", "))
    })
}

/// Parses a size to KiB.
fn kib(text: &str) -> Result<u64, String> {
    let wrong = || "not a size: write it with its unit, such as 64K, 128M or 2G".to_owned();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "K" | "KiB" => 1,
        "M" | "MiB" => 1 << 10,
        "G" | "GiB" => 1 << 20,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    match number.checked_mul(factor) {
        // So that it can be counted in bytes.
        Some(kib) if kib != 0 && kib < u64::MAX >> 20 => Ok(kib),
        Some(0) => Err("must be more than zero".to_owned()),
        _ => Err("no machine has that much".to_owned()),
    }
}

/// Checks a cgroup's path.
fn cgroup(text: &str) -> Result<String, String> {
    let names = text.strip_prefix('/').unwrap_or_default();
    // One level: those above would have to be made, and removed, too.
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if names.is_empty() || names.starts_with('.') || !names.chars().all(good) {
        return Err("not a path of one level, such as /fragwatch-reproduce".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_or_refused() {
        assert_eq!(kib("64K"), Ok(64));
        assert_eq!(kib("128M"), Ok(128 << 10));
        assert_eq!(kib("2GiB"), Ok(2 << 20));
        for wrong in [
            "",
            "64",
            "M",
            "-1M",
            "1.5M",
            "1 M",
            "0M",
            "64m",
            "99999999999999999999G",
            "9999999999999G",
        ] {
            assert!(kib(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn expectations_are_parsed_or_refused() {
        for text in ["ok", "stall", "fail:fragmentation", "handled:memcg-limit"] {
            assert_eq!(
                text.parse::<Expect>().map(|expect| expect.to_string()),
                Ok(text.to_owned())
            );
        }
        for wrong in ["", "fail", "fail:", "fail:bad-luck", "ok:fragmentation"] {
            assert!(wrong.parse::<Expect>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn cgroup_is_one_level_below_the_root() {
        assert!(cgroup("/fragwatch-reproduce").is_ok());
        for wrong in ["", "/", "a", "/a/b", "/..", "/a b"] {
            assert!(cgroup(wrong).is_err(), "{wrong}");
        }
    }
}
