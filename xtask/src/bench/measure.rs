//! Runs programs in turn, and measures time and peak memory.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::paths;

/// How often a program's memory is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// A program to measure.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) command: Command,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) name: &'static str,
    /// From its start to its end, the median.
    pub(super) seconds: f64,
    /// The largest resident set of all runs, in KiB.
    pub(super) peak_kib: i64,
}

/// Runs all, one after another, in so many rounds and one before, to warm the page cache.
pub(super) fn rounds(contestants: &[Contestant], rounds: usize) -> Result<Vec<Measured>> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); contestants.len()];
    let mut peaks = vec![0; contestants.len()];
    for round in 0..=rounds {
        for (index, contestant) in contestants.iter().enumerate() {
            let (seconds, peak) = once(contestant)?;
            if round > 0 {
                times[index].push(seconds);
                peaks[index] = peak.max(peaks[index]);
            }
        }
        eprintln!("    round {round} of {rounds}");
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let measured = contestants.iter().zip(times).zip(peaks);
    Ok(measured
        .map(|((contestant, times), peak_kib)| Measured {
            name: contestant.name,
            seconds: median(times),
            peak_kib,
        })
        .collect())
}

fn once(contestant: &Contestant) -> Result<(f64, i64)> {
    let Contestant { name, command } = contestant;
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    copy.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    // Not /dev/null: with it grep stops at the first match.
    let path = paths::target().join("bench/output");
    let output = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    let started = Instant::now();
    let mut child = copy
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("can't run {name}: is it installed?"))?;
    let mut peak = 0;
    let status = loop {
        // What wait4 says of a child holds what this process had when it started it.
        peak = peak_kib(child.id()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().with_context(|| format!("can't wait for {name}"))? {
            break status;
        }
        thread::sleep(INTERVAL);
    };
    let seconds = started.elapsed().as_secs_f64();
    // 1 is explain's exit code for incidents, and grep's for no match.
    if status.code().is_none_or(|code| code > 1) {
        bail!("{name} failed, so there is nothing to measure: run it by hand to see why");
    }
    Ok((seconds, peak))
}

/// The largest resident set of a process so far, in KiB; none when it has ended.
fn peak_kib(pid: u32) -> Option<i64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}
