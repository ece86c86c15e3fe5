//! Commands of runtimes, and their output.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const OUTPUT: &str = "/run/runtime.out";

/// Runs a command to its end: whether it succeeded, and its output.
pub(super) fn run(command: &mut Command) -> Result<(bool, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    // A file, not a pipe: the container inherits it and would keep a pipe open.
    let output = File::create(OUTPUT).with_context(|| format!("can't create {OUTPUT}"))?;
    let errors = output.try_clone().context("can't share a command's output")?;
    let status = command
        .env("PATH", super::PATH)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .status()
        .with_context(|| format!("can't run {program}"))?;
    let output = String::from_utf8_lossy(&fs::read(OUTPUT).unwrap_or_default()).into_owned();
    Ok((status.success(), output))
}

/// Runs a command that must go well.
pub(super) fn must(command: &mut Command) -> Result<()> {
    let (done, output) = run(command)?;
    if !done {
        bail!("{command:?} failed: {}", output.trim());
    }
    Ok(())
}

/// The id that a command wrote into a file of its own, if it came that far.
pub(super) fn id_in(path: &str) -> Option<String> {
    let id = fs::read_to_string(path).ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}
