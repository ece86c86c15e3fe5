//! The delay of reports: from the end of a creation to its line on fragwatch's stdout, while memory is
//! fragmented. It depends on the host's load and on emulation, so it has no limit.

use anyhow::{Context, Result, bail};
use harness::kernel;
use harness::vm::{self, Request, Run};
use jiff::Timestamp;
use serde_json::Value;

use crate::setup;

/// Arguments of the benchmark.
#[derive(clap::Args)]
pub(super) struct Args {
    /// On this kernel
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: String,
    /// How many machines are booted, one after the other
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    boots: u32,
}

/// Boots the machines and prints the median, the 99th percentile and the maximum.
pub(super) fn run(args: &Args) -> Result<()> {
    setup::with_kernel(kernel::series(&args.kernel)?)?;
    let mut request = Request::new(&args.kernel, "order6");
    request.args = ["trace", "--all", "--format", "json"].map(str::to_owned).to_vec();
    "bench-latency".clone_into(&mut request.results);
    let (mut delays, mut slowest_us) = (Vec::new(), 0);
    for boot in 1..=args.boots {
        eprintln!("==> boot {boot} of {}", args.boots);
        let run = vm::run(&request, &mut |event| vm::show_progress(&event))?;
        if run.exit_code != 0 {
            bail!("fragwatch failed with {}; see {}", run.exit_code, run.directory.display());
        }
        delays.extend(delays_ms(&run)?);
        slowest_us = slowest_us.max(slowest_report_us(&run)?);
    }
    delays.sort_unstable();
    println!(
        "{} creations on {} in {} boots: a report comes after {} ms in the median, p99 {} ms, at most \
         {} ms; by fragwatch's own clock at most {} ms",
        delays.len(),
        args.kernel,
        args.boots,
        percentile(&delays, 50)?,
        percentile(&delays, 99)?,
        percentile(&delays, 100)?,
        slowest_us / 1000
    );
    Ok(())
}

/// The delay of each creation's line, in milliseconds by the guest's clock.
fn delays_ms(run: &Run) -> Result<Vec<i64>> {
    let clock = run.lines.iter().find(|line| line.stream == "clock");
    let clock = clock.context("the guest sent no clock")?;
    let realtime: i64 = clock.text.parse().context("the guest's clock is no number")?;
    let offset = realtime - clock.ms.cast_signed();
    let mut delays = Vec::new();
    for line in run.lines.iter().filter(|line| line.stream == "fragwatch-out") {
        let report: Value =
            serde_json::from_str(&line.text).context("fragwatch printed no JSON")?;
        if report["type"] == "creation" {
            let ended = report["time"].as_str().context("a creation has no time")?;
            let ended: Timestamp = ended.parse().context("the time of a creation is malformed")?;
            delays.push(line.ms.cast_signed() + offset - ended.as_millisecond());
        }
    }
    Ok(delays)
}

fn slowest_report_us(run: &Run) -> Result<u64> {
    let last = run.stream("fragwatch-out").last().context("fragwatch printed nothing")?;
    let summary: Value = serde_json::from_str(last).context("fragwatch printed no JSON")?;
    summary["slowest_report_us"].as_u64().context("the summary has no slowest report")
}

/// The smallest value that so many percent of the sorted values don't exceed.
fn percentile(sorted: &[i64], percent: usize) -> Result<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    let value = sorted.get(rank.saturating_sub(1));
    value.copied().context("no creation was reported")
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_of_the_list() {
        let values: Vec<i64> = (1..=200).collect();
        let of = |percent| percentile(&values, percent).expect("the list is not empty");
        assert_eq!([of(50), of(99), of(100)], [100, 198, 200]);
        assert_eq!(percentile(&[7], 50).ok(), Some(7));
        assert!(percentile(&[], 50).is_err());
    }
}
