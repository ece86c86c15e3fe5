//! `cargo xtask truth`: whether fragwatch tells the true cause.

pub mod judge;
mod logs;
mod scenarios;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Compare what it says of the labelled logs in this folder, which has an index.tsv, and run no
    /// scenario
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// The fragwatch to try on the logs; without it the release build is made
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
    match &args.logs {
        Some(logs) => logs::run(logs, args.fragwatch.as_deref()).map(|()| ExitCode::SUCCESS),
        None => scenarios::run(args),
    }
}
