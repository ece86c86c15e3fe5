//! `cargo xtask test`: everything that must hold before a change goes in.

use std::process::Command;

use anyhow::Result;
use harness::disk::Disk;
use harness::{build, kernel, paths, step};

use crate::package;
use crate::setup::{self, disk, toolchain};

/// Arguments of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Run every scenario on every kernel
    #[arg(long)]
    pub slow: bool,
}

/// Formatting, lints, unit tests, this machine's kernel, and the scenarios in virtual machines.
pub fn run(args: &Args) -> Result<()> {
    setup::run()?;
    step::run("check the formatting", step::cargo().args(["fmt", "--all", "--check"]))?;
    step::run(
        "check the lints",
        step::cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    )?;
    check_programs()?;
    step::run_to_stdout("run the unit tests", step::cargo().args(["test", "--workspace"]))?;
    // Built here, where its progress can be seen; the tests find it done.
    build::fragwatch(true)?;
    build::guest()?;
    // It prints what it skips.
    step::run_to_stdout(
        "run the tests on this machine's kernel",
        step::cargo().args(["test", "--package", "fragwatch-tests", "--test", "native"]).args([
            "--",
            "--ignored",
            "--test-threads=1",
            "--nocapture",
        ]),
    )?;
    step::run_to_stdout(
        "run the store on file systems that fail",
        step::cargo()
            .args(["test", "--package", "fragwatch-recorder", "--test", "real_faults"])
            .args(["--", "--ignored", "--test-threads=1"]),
    )?;
    if args.slow {
        package::deb::make()?;
        disk::make(Disk::Debian, kernel::series(kernel::DEFAULT)?)?;
    }
    let mut machines = step::cargo();
    machines.args(["test", "--package", "fragwatch-tests", "--test", "vm", "--", "--ignored"]);
    if !args.slow {
        machines.args(["--skip", "slow::"]);
    }
    step::run_to_stdout("run the tests in virtual machines", &mut machines)
}

/// The lints of what runs in the kernel, which only its own toolchain can compile.
fn check_programs() -> Result<()> {
    let toolchain = toolchain::name()?;
    if step::output("rustup", ["run", toolchain, "cargo", "clippy", "--version"])?.is_empty() {
        eprintln!(
            "==> skipped: the lints of the eBPF programs, because toolchain {toolchain} has no clippy"
        );
        return Ok(());
    }
    let mut cargo = Command::new("rustup");
    step::colour(&mut cargo);
    cargo
        .current_dir(paths::root())
        .args(["run", toolchain, "cargo", "clippy", "--package", "fragwatch-ebpf"])
        .args(["--features", "programs", "--bin", "fragwatch-ebpf", "--release"])
        .args(["--target", "bpfel-unknown-none", "-Z", "build-std=core"])
        .args(["--", "--deny", "warnings"])
        // Debian's compiler is a stable one, and `build-std` isn't.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "--cfg=bpf_target_arch=\"x86_64\"")
        .env("CARGO_TARGET_DIR", paths::target().join("clippy-ebpf"));
    step::run("check the lints of the eBPF programs", &mut cargo)
}
