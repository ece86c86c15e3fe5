//! `cargo xtask kernels`: whether fragwatch sees the same on every kernel.

use std::process::ExitCode;

use anyhow::Result;
use harness::{kernel, matrix};

use crate::setup;

/// Arguments of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Only this kernel; may be given several times
    #[arg(long)]
    pub kernel: Vec<String>,
    /// More arguments for `fragwatch trace`, such as `--attach kprobe`
    #[arg(last = true)]
    pub args: Vec<String>,
}

/// Runs scenario order6 on each kernel and prints what was seen; fails unless all was.
pub fn run(args: &Args) -> Result<ExitCode> {
    let kernels = kernel::several(&args.kernel)?;
    setup::run()?;
    let good = matrix::kernels::run(&kernels, &args.args)?;
    Ok(ExitCode::from(u8::from(!good)))
}
