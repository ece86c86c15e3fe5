//! The delay of reports: from the end of a creation to its line on fragwatch's stdout, while memory is
//! fragmented. It depends on the host's load and on emulation, so it has no limit.

use anyhow::{Context, Result, bail};
use harness::kernel;
use harness::vm::{self, Request, Run};
use serde_json::Value;

use super::delay::{Delays, percentile};
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
        let mut reader = Delays::default();
        for line in &run.lines {
            delays.extend(reader.of(line)?);
        }
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

fn slowest_report_us(run: &Run) -> Result<u64> {
    let last = run.stream("fragwatch-out").last().context("fragwatch printed nothing")?;
    let summary: Value = serde_json::from_str(last).context("fragwatch printed no JSON")?;
    summary["slowest_report_us"].as_u64().context("the summary has no slowest report")
}
