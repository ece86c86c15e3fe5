//! `cargo xtask bench soak`: whether fragwatch's memory stays flat while containers come and go.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use harness::kernel;
use harness::overhead::{Fact, Memory, STREAM, ServeState};
use harness::scenario::SOAK;
use harness::vm::{self, Request};

use crate::setup;

/// How much more may be resident at the end than at the first look, in KiB.
const LIMIT_KIB: u64 = 256;

/// The same for `serve`, which has a store and HTTP beside it.
const SERVE_LIMIT_KIB: u64 = 512;

/// What `serve` may have of series, and of CPU time for a scrape in nanoseconds.
const MAX_SERIES: u64 = 600;
const MAX_SCRAPE_NS: u64 = 2_000_000;

/// What `serve` may take when idle, in nanoseconds of CPU a second: 0.1 %.
const MAX_IDLE_NS: f64 = 1e6;

/// `serve` with a store so small that its oldest segments are deleted meanwhile.
const SERVE: [&str; 7] =
    ["serve", "--store", "/store", "--store-max-size", "4MiB", "--store-min-free", "0"];
const STORE_BYTES: u64 = 4 << 20;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which kernel to boot
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: String,
    /// For how long, by the guest's clock, which jumps over pauses
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..))]
    minutes: u32,
    /// Run this build of fragwatch, and build none
    #[arg(long)]
    program: Option<PathBuf>,
    /// Run `serve` instead of `trace`, scrape it, and let many creations fail at once every five minutes
    #[arg(long, conflicts_with = "fragwatch")]
    serve: bool,
    /// Arguments for fragwatch; `trace` unless given
    #[arg(last = true)]
    fragwatch: Vec<String>,
}

/// Boots, prints the memory once a minute, and fails if it grew by more than the limit after the first
/// minute.
pub(super) fn run(args: &Args) -> Result<()> {
    let series = kernel::series(&args.kernel)?;
    setup::with_kernel(series)?;
    let mut request = Request::new(series.name, SOAK.name);
    request.counted = true;
    request.effort.minutes = args.minutes;
    request.program.clone_from(&args.program);
    if args.serve {
        request.args = SERVE.map(str::to_owned).to_vec();
    } else if !args.fragwatch.is_empty() {
        request.args.clone_from(&args.fragwatch);
    }
    let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
    let mut soak = Soak::default();
    for line in run.stream(STREAM) {
        let fact: Fact = serde_json::from_str(line).context("the guest sent a malformed fact")?;
        match fact {
            Fact::Soak { seconds, containers, memory, serve } => {
                soak.minutes.push(Minute { seconds, containers, memory, serve });
            }
            Fact::Idle { ns_per_s, threads } => {
                (soak.idle_ns, soak.idle_threads) = (Some(ns_per_s), threads);
            }
            Fact::FallbackProgram { runs, ns } => soak.fallbacks = Some((runs, ns)),
            Fact::Ended { ms } => soak.ended_ms = Some(ms),
            _ => {}
        }
    }
    println!("{}", soak.table());
    if let Some(idle) = soak.idle_ns {
        println!(
            "idle before: {:.0} us of CPU a second; limit {:.0}",
            idle / 1e3,
            MAX_IDLE_NS / 1e3
        );
        for (name, ns) in &soak.idle_threads {
            println!("  {name}: {:.0} us", ns / 1e3);
        }
    }
    if let Some((runs, ns)) = soak.fallbacks {
        let each = ns / runs.max(1);
        println!("{runs} blocks of another migratetype were taken: counting took {each} ns each");
    }
    if let Some(ms) = soak.ended_ms {
        println!("ended {ms} ms after SIGINT");
    }
    let limit_kib = if args.serve { SERVE_LIMIT_KIB } else { LIMIT_KIB };
    let grown = soak.grown_kib().context("the guest sent no memory")?;
    println!("after the first minute memory grew by {grown} KiB; limit {limit_kib} KiB");
    let mut problems = soak.problems();
    if grown > limit_kib {
        problems.push(format!("fragwatch's memory is not flat: it grew by {grown} KiB"));
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    Ok(())
}

/// What was seen in a minute.
struct Minute {
    seconds: u64,
    containers: u32,
    memory: Memory,
    serve: Option<ServeState>,
}

/// All minutes.
#[derive(Default)]
struct Soak {
    minutes: Vec<Minute>,
    /// CPU time of `serve` before the first container, in nanoseconds a second.
    idle_ns: Option<f64>,
    /// Of that, each thread's.
    idle_threads: Vec<(String, f64)>,
    /// Runs of the program that counts blocks taken of another migratetype, and their time in nanoseconds.
    fallbacks: Option<(u64, u64)>,
    /// How long its end took.
    ended_ms: Option<u64>,
}

impl Soak {
    fn table(&self) -> String {
        let serve = self.minutes.iter().any(|minute| minute.serve.is_some());
        let mut table =
            "| minute | containers | resident, KiB | anonymous | files and buffers | BPF maps |"
                .to_owned();
        let mut rule = "|---|---|---|---|---|---|".to_owned();
        if serve {
            table += " failures | lost | store, KiB | series | a scrape, us |";
            rule += "---|---|---|---|---|";
        }
        table = format!("{table}\n{rule}");
        for Minute { seconds, containers, memory, serve } in &self.minutes {
            // Writing to a string can't fail.
            let _ = write!(
                table,
                "\n| {} | {containers} | {} | {} | {} | {} |",
                seconds / 60,
                memory.resident,
                memory.anon,
                memory.file,
                memory.maps
            );
            if let Some(serve) = serve {
                let _ = write!(
                    table,
                    " {} | {} | {} | {} | {} |",
                    serve.failures,
                    serve.lost,
                    serve.store_bytes / 1024,
                    serve.series,
                    serve.scrape_ns / 1000
                );
            }
        }
        table
    }

    /// The most that was resident after the first minute, beyond what was at its end.
    fn grown_kib(&self) -> Option<u64> {
        let resident: Vec<u64> = self.minutes.iter().map(|minute| minute.memory.resident).collect();
        grown_kib(&resident)
    }

    /// What does not hold of `serve`, in sentences.
    fn problems(&self) -> Vec<String> {
        let states = || self.minutes.iter().filter_map(|minute| minute.serve);
        let most = |of: fn(ServeState) -> u64| states().map(of).max().unwrap_or(0);
        let limits = [
            (most(|state| state.lost), 0, "events or entries were lost"),
            (most(|state| state.store_bytes), STORE_BYTES, "bytes are in the store"),
            (most(|state| state.series), MAX_SERIES, "series are in a scrape"),
            (most(|state| state.scrape_ns), MAX_SCRAPE_NS, "ns of CPU are taken by a scrape"),
        ];
        let above = limits.into_iter().filter(|(value, limit, _)| value > limit);
        let idle = self.idle_ns.filter(|idle| *idle > MAX_IDLE_NS);
        above
            .map(|(value, limit, what)| format!("{value} {what}, limit {limit}"))
            .chain(idle.map(|idle| format!("{idle:.0} ns of CPU a second are taken when idle")))
            .collect()
    }
}

/// The most that was resident after the first minute, beyond what was at its end.
fn grown_kib(resident: &[u64]) -> Option<u64> {
    let after = resident.get(1..)?;
    Some(after.iter().max()? - after.first()?)
}

#[cfg(test)]
mod tests {
    use super::grown_kib;

    #[test]
    fn growth_is_counted_from_the_first_minute_on() {
        assert_eq!(grown_kib(&[100, 500, 510, 490]), Some(10));
        assert_eq!(grown_kib(&[100, 500]), Some(0));
        assert_eq!(grown_kib(&[100]), None);
        assert_eq!(grown_kib(&[]), None);
    }
}
