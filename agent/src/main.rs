//! fragwatch: which container creation the kernel could not find memory for, and why.
use std::process::ExitCode;

use clap::Parser as _;
use fragwatch::{
    check,
    cli::{Cli, Command},
    doctor, explain, replay,
    trace::{self, TraceError},
};

/// It ended early.
const EARLY: u8 = 1;
/// It could not begin.
const CANNOT_BEGIN: u8 = 2;

/// Logs to standard error what `RUST_LOG` asks for, warnings if it asks for nothing. How aya moves
/// instructions around is left out unless it is asked for by name.
fn init_log() {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    env_logger::Builder::new().parse_filters(&format!("aya_obj=warn,{filter}")).init();
}

// One thread: the events of a creation have an order, and memory is dear where this runs.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    init_log();
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        // Whoever monitors takes the usual code for "critical".
        if error.use_stderr() && std::env::args_os().nth(1).is_some_and(|arg| arg == "check") {
            let _ = error.print();
            std::process::exit(check::UNKNOWN.into());
        }
        error.exit()
    });
    match cli.command {
        Command::Trace(args) => exit_code(trace::run(&args).await),
        Command::Doctor(args) => match doctor::run(&args) {
            Ok(status) => ExitCode::from(status.exit_code()),
            Err(error) => {
                anstream::eprintln!("fragwatch: {error:#}");
                ExitCode::from(CANNOT_BEGIN)
            }
        },
        Command::Explain(args) => match explain::run(&args) {
            Ok(explain::Ended::Read) => ExitCode::SUCCESS,
            Ok(explain::Ended::SomeUnread) => ExitCode::from(EARLY),
            Err(error) => {
                anstream::eprintln!("fragwatch: {error:#}");
                ExitCode::from(EARLY)
            }
        },
        Command::Check(args) => ExitCode::from(match check::run(&args) {
            Ok(status) => status.exit_code(),
            Err(error) => {
                anstream::eprintln!("fragwatch: {error}");
                check::UNKNOWN
            }
        }),
        Command::Replay(args) => match replay::run(&args) {
            Ok(replay::Ended::Whole) => ExitCode::SUCCESS,
            Ok(replay::Ended::Partly) => ExitCode::from(EARLY),
            Err(error) => {
                anstream::eprintln!("fragwatch: {error}");
                ExitCode::from(match error {
                    replay::ReplayError::Begin { .. } => CANNOT_BEGIN,
                    replay::ReplayError::Report(_) => EARLY,
                })
            }
        },
    }
}

fn exit_code(traced: Result<(), TraceError>) -> ExitCode {
    match traced {
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
