//! Debian packages: what is installed, and installing what is missing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use harness::step;

/// Installs those of the packages that are missing.
pub fn install(packages: &[&str]) -> Result<()> {
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("only root can install {}: run `cargo xtask setup` as root", missing.join(" "));
    }
    update()?;
    for package in &missing {
        if !available(package)? {
            bail!(
                "apt has no package {package}: add Debian 12's main, updates and security suites to \
                 its sources, or install it another way, and run `cargo xtask setup` again"
            );
        }
    }
    step::run(
        &format!("install {}", missing.join(" ")),
        get().args(["install", "--yes", "--no-install-recommends"]).args(&missing),
    )
}

/// Fetches the package lists, once in a run.
pub fn update() -> Result<()> {
    static UPDATED: AtomicBool = AtomicBool::new(false);
    if UPDATED.load(Ordering::Relaxed) {
        return Ok(());
    }
    step::run("update the package lists", get().arg("update"))?;
    UPDATED.store(true, Ordering::Relaxed);
    Ok(())
}

fn missing(packages: &[&str]) -> Result<Vec<String>> {
    let mut args = vec!["-W", "-f", "${db:Status-Abbrev} ${Package}\n"];
    args.extend(packages);
    // It fails when it doesn't know one of them, and lists the others all the same.
    let text = step::output("dpkg-query", args)?;
    let installed: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("ii")).map(str::trim).collect();
    Ok(packages
        .iter()
        .filter(|package| !installed.contains(*package))
        .map(|package| (*package).to_owned())
        .collect())
}

fn available(package: &str) -> Result<bool> {
    let policy = step::output("apt-cache", ["policy", package])?;
    Ok(policy.lines().any(|line| {
        line.trim().strip_prefix("Candidate: ").is_some_and(|version| version != "(none)")
    }))
}

/// `apt-get` without questions.
pub(crate) fn get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args([
        "-q",
        "-o",
        "Dpkg::Use-Pty=0",
        "-o",
        "DPkg::Lock::Timeout=120",
    ]);
    command
}

/// Unpacks all packages in a directory there, and removes them.
pub(crate) fn unpack_all(directory: &Path) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("can't list {}", directory.display()))?;
    for entry in entries {
        let package = entry.with_context(|| format!("can't list {}", directory.display()))?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            step::run(
                &format!("unpack {name}"),
                Command::new("dpkg-deb").arg("--extract").arg(&package).arg(directory),
            )?;
            fs::remove_file(&package)
                .with_context(|| format!("can't remove {}", package.display()))?;
        }
    }
    Ok(())
}
