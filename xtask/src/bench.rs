//! `cargo xtask bench`: measurements.

mod delay;
mod explain;
mod forecast;
mod hostile;
mod journal;
mod latency;
mod measure;
mod overhead;
mod soak;

use anyhow::Result;

/// Arguments of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// How long fragwatch takes to explain a journal of 1 GiB, beside ripgrep and grep with the same
    /// phrases; fails if it takes longer than ripgrep
    Explain(explain::Args),
    /// How early `serve` forecasts that a node runs into a limit, and how often it is wrong
    Forecast(forecast::Args),
    /// How long after the end of a creation its report comes, in scenario order6
    Latency(latency::Args),
    /// What fragwatch costs a node: operations with and without it and beside bpftrace, its CPU time and
    /// its memory
    Overhead(overhead::Args),
    /// Whether fragwatch's memory stays flat while containers come and go; fails if it doesn't
    Soak(soak::Args),
}

/// Runs a benchmark; fails if what it must show does not hold.
pub fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Explain(args) => explain::run(args),
        What::Forecast(args) => forecast::run(args),
        What::Latency(args) => latency::run(args),
        What::Overhead(args) => overhead::run(args),
        What::Soak(args) => soak::run(args),
    }
}
