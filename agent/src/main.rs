//! fragwatch: which container creation the kernel could not find memory for, and why.
use std::process::ExitCode;

use clap::Parser as _;
use fragwatch::{
    cli::{Cli, Command},
    trace::{self, TraceError},
};

/// It ended early.
const EARLY: u8 = 1;
/// It could not begin.
const CANNOT_BEGIN: u8 = 2;

// One thread: the events of a creation have an order, and memory is dear where this runs.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let ended = match Cli::parse().command {
        Command::Trace(args) => trace::run(&args).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("fragwatch: {error}");
            ExitCode::from(match error {
                TraceError::Start(_) => CANNOT_BEGIN,
                TraceError::Run(_) => EARLY,
            })
        }
    }
}
