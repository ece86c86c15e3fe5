//! `cargo xtask truth`: whether fragwatch reports the true cause.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use harness::kernel;
use harness::matrix::{labelled_logs, truth};

use crate::setup;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run no scenario, but `explain` on the labelled logs in this folder, which has an index.tsv
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// The fragwatch to run on the logs; without it the release build is made
    #[arg(long, value_name = "FILE", requires = "logs")]
    fragwatch: Option<PathBuf>,
    /// Run the scenarios that take many minutes too
    #[arg(long, conflicts_with = "logs")]
    slow: bool,
    /// Only this kernel; may be given several times
    #[arg(long, conflicts_with = "logs")]
    kernel: Vec<String>,
    /// Only this scenario; may be given several times
    #[arg(long, conflicts_with = "logs")]
    scenario: Vec<String>,
    /// How often each scenario is run on each kernel; slow ones are run once
    #[arg(long, default_value_t = 3, conflicts_with = "logs")]
    times: u32,
}

/// Compares, prints a table, and fails if the aims are missed.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(logs) = &args.logs {
        labelled_logs::run(logs, args.fragwatch.as_deref())?;
        return Ok(ExitCode::SUCCESS);
    }
    // A wrong name fails before anything is installed or built.
    let kernels = kernel::several(&args.kernel)?;
    let wanted = truth::wanted(&args.scenario, args.slow)?;
    setup::run()?;
    let good = truth::run(&wanted, &kernels, args.times)?;
    Ok(ExitCode::from(u8::from(!good)))
}
