//! fragwatch: which container creation the kernel could not find memory for, and why.
use std::process::ExitCode;

use clap::Parser as _;
use fragwatch::{
    capture_command, check,
    cli::{Cli, Command},
    doctor, explain, replay,
    serve::{self, ServeError},
    trace::{self, TraceError},
};

/// Exit code of a command that stopped early.
const FAILED: u8 = 1;
/// Exit code of a command that could not start.
const CANNOT_START: u8 = 2;

/// Logs to standard error as `RUST_LOG` says, warnings by default. aya's relocation messages are
/// logged only if `RUST_LOG` names the module `aya_obj`.
fn init_log() {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    env_logger::Builder::new().parse_filters(&format!("aya_obj=warn,{filter}")).init();
}

// One thread, because events are processed in order, and further threads cost memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    init_log();
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        // clap's exit code 2 would mean CRITICAL to a monitoring system.
        let has = |name: &str| std::env::args_os().skip(1).any(|arg| arg == name);
        if error.use_stderr() && std::env::args_os().nth(1).is_some_and(|arg| arg == "check") {
            let _ = error.print();
            std::process::exit(check::unknown(has("--npd")).into());
        }
        error.exit()
    });
    match cli.command {
        Command::Trace(args) => exit_code(trace::run(&args).await),
        Command::Serve(args) => match serve::run(&args).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                anstream::eprintln!("fragwatch: {error}");
                ExitCode::from(match error {
                    ServeError::Start(_) => CANNOT_START,
                    ServeError::Run(_) => FAILED,
                })
            }
        },
        Command::Doctor(args) => match doctor::run(&args) {
            Ok(status) => ExitCode::from(status.exit_code()),
            Err(error) => {
                anstream::eprintln!("fragwatch: {error:#}");
                ExitCode::from(CANNOT_START)
            }
        },
        Command::Explain(args) => match explain::run(&args) {
            Ok(explain::ExplainResult::Complete) => ExitCode::SUCCESS,
            Ok(explain::ExplainResult::Partial) => ExitCode::from(FAILED),
            Err(error) => {
                anstream::eprintln!("fragwatch: {error:#}");
                ExitCode::from(FAILED)
            }
        },
        Command::Check(args) => ExitCode::from(match check::run(&args) {
            Ok(code) => code,
            Err(error) => {
                anstream::eprintln!("fragwatch: {error}");
                check::unknown(args.npd)
            }
        }),
        Command::Capture(args) => match capture_command::run(&args) {
            Ok(capture_command::CaptureResult::Complete) => ExitCode::SUCCESS,
            Ok(capture_command::CaptureResult::Damaged) => ExitCode::from(FAILED),
            Err(error) => {
                anstream::eprintln!("fragwatch: {error}");
                ExitCode::from(match error {
                    capture_command::CaptureCommandError::Store { .. } => CANNOT_START,
                    capture_command::CaptureCommandError::Output { .. } => FAILED,
                })
            }
        },
        Command::Replay(args) => match replay::run(&args) {
            Ok(replay::ReplayResult::Complete) => ExitCode::SUCCESS,
            Ok(replay::ReplayResult::Partial) => ExitCode::from(FAILED),
            Err(error) => {
                anstream::eprintln!("fragwatch: {error}");
                ExitCode::from(match error {
                    replay::ReplayError::Open { .. } | replay::ReplayError::Store { .. } => {
                        CANNOT_START
                    }
                    replay::ReplayError::Report(_) => FAILED,
                })
            }
        },
    }
}

fn exit_code(result: Result<(), TraceError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("fragwatch: {error}");
            ExitCode::from(match error {
                TraceError::Start(_) => CANNOT_START,
                TraceError::Run(_) => FAILED,
            })
        }
    }
}
