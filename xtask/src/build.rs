//! `cargo xtask build`: fragwatch, and what the virtual machine needs beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::setup::headers;
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
    setup::tools()?;
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

/// Builds the test modules for a kernel, in the target directory.
pub(crate) fn kernel_modules(kernel: &Kernel) -> Result<Vec<PathBuf>> {
    let sources = paths::root().join("tests/kmod");
    let directory = paths::target().join("kmod").join(kernel.series);
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    let cannot = || format!("can't list {}", sources.display());
    let mut modules = Vec::new();
    for entry in fs::read_dir(&sources).with_context(cannot)? {
        let source = entry.with_context(cannot)?.path();
        let copy = directory.join(source.file_name().unwrap_or_default());
        copy_if_changed(&source, &copy)?;
        if source.extension().is_some_and(|extension| extension == "c") {
            modules.push(copy.with_extension("ko"));
        }
    }
    headers::make_modules(&kernel.headers, &directory)?;
    Ok(modules)
}

/// Keeps the time stamp of what didn't change, so that make has nothing to do.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("can't read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(to, content).with_context(|| format!("can't write {}", to.display()))
}
