//! `cargo xtask`: everything that is done with this repository, one command each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use harness::Usage;
use xtask::{bench, build, demo, fixtures, kernels, package, page, setup, test, truth, vm};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up, builds, runs and tests fragwatch")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building and testing need (Debian 12, as root); quick when all is there
    Setup,
    /// Build fragwatch into target/debug or target/release
    Build(build::Args),
    /// Measure fragwatch beside what it is compared with; fails where it is too slow
    Bench(bench::Args),
    /// Show, in a virtual machine, a container that can't be created and fragwatch's report
    Demo,
    /// Check formatting and lints, run all tests, those in virtual machines included
    Test(test::Args),
    /// Run a scenario on every kernel and show what fragwatch saw there; fails unless all was seen
    Kernels(kernels::Args),
    /// Compare the causes that fragwatch reports with the true ones, in scenarios on every kernel or
    /// in labelled kernel logs; fails where the aims are missed
    Truth(truth::Args),
    /// Run a scenario in a virtual machine beside fragwatch; exits as fragwatch does
    Vm(vm::Args),
    /// Look at the page of `serve` in a virtual machine with a browser; fails if it lacks what it must show
    Page(page::Args),
    /// Make the Debian package, or man pages and shell completions alone
    Package(package::Args),
    /// Make the tests' extracts of real kernels and of what was recorded on them again
    Fixtures(fixtures::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup => setup::run().map(|()| ExitCode::SUCCESS),
        Command::Build(args) => build::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Demo => demo::run().map(|()| ExitCode::SUCCESS),
        Command::Test(args) => test::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Kernels(args) => kernels::run(&args),
        Command::Truth(args) => truth::run(&args),
        Command::Vm(args) => vm::command(&args),
        Command::Page(args) => page::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Package(args) => package::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Fixtures(args) => fixtures::run(&args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
    })
}
