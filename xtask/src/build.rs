//! `cargo xtask build`: fragwatch, and what the virtual machine needs beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::kernel::Kernel;
use crate::{paths, setup, step};

/// What `cargo xtask build` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Build with optimisations, as it is shipped
    #[arg(long)]
    pub release: bool,
}

/// Builds fragwatch.
pub fn run(args: &Args) -> Result<()> {
    setup::run()?;
    let profile = if args.release { "release" } else { "debug" };
    fragwatch(args.release)?;
    eprintln!("built {}", paths::target().join(profile).join("fragwatch").display());
    Ok(())
}

/// Runs cargo for fragwatch; the agent's build script compiles the eBPF programs.
pub fn fragwatch(release: bool) -> Result<()> {
    let mut cargo = step::cargo();
    cargo.args(["build", "--package", "fragwatch"]);
    if release {
        cargo.arg("--release");
    }
    step::run("build fragwatch", &mut cargo)
}

/// Builds process 1 of the virtual machine.
pub(crate) fn guest() -> Result<PathBuf> {
    step::run(
        "build the guest",
        step::cargo().args([
            "build",
            "--package",
            "fragwatch-tests",
            "--bin",
            "guest",
            "--release",
        ]),
    )?;
    Ok(paths::target().join("release/guest"))
}

/// Builds the test module for a kernel, in the target directory.
pub(crate) fn kernel_module(kernel: &Kernel) -> Result<PathBuf> {
    let directory = paths::target().join("kmod").join(kernel.series);
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    for name in ["Makefile", "fragwatch_pernet.c"] {
        copy_if_changed(&paths::root().join("tests/kmod").join(name), &directory.join(name))?;
    }
    step::run(
        "build the test module",
        Command::new("make")
            .arg("--silent")
            .arg("-C")
            .arg(&kernel.headers)
            .arg(format!("M={}", directory.display()))
            .arg("modules"),
    )?;
    Ok(directory.join("fragwatch_pernet.ko"))
}

/// Keeps the time stamp of what didn't change, so that make has nothing to do.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("can't read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(to, content).with_context(|| format!("can't write {}", to.display()))
}
