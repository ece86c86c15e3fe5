//! The programs that check what stands in deploy/: Prometheus's promtool from Debian's package, and
//! kubernetes-validate from PyPI. Both lie under target/checkers and are installed nowhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use harness::{paths, step};

use super::apt;
use super::suite::{OWN, Suite};

/// The schemas of Kubernetes 1.25 to 1.37 are in it.
const KUBERNETES_VALIDATE: &str = "kubernetes-validate==1.37.0";

/// Where promtool is; unpacks it there if it is missing.
pub fn promtool() -> Result<PathBuf> {
    let directory = paths::target().join("checkers/prometheus");
    let program = directory.join("usr/bin/promtool");
    if !program.is_file() {
        create(&directory)?;
        let suite = Suite::open(OWN)?;
        let package = ["prometheus".to_owned()];
        if suite.download(&package, &directory).is_err() {
            // The lists may be missing or name a version that is gone.
            suite.update()?;
            suite.download(&package, &directory)?;
        }
        apt::unpack_all(&directory)?;
    }
    Ok(program)
}

/// `kubernetes-validate` without arguments; installs it under target/ if it is missing.
pub fn kubernetes_validate() -> Result<Command> {
    let directory = paths::target().join("checkers/kubernetes-validate");
    let complete = directory.join("complete");
    if !fs::read_to_string(&complete).is_ok_and(|version| version == KUBERNETES_VALIDATE) {
        if step::output("python3", ["-m", "pip", "--version"]).unwrap_or_default().is_empty() {
            apt::install(&["python3-pip"])?;
        }
        create(&directory)?;
        step::run(
            "install kubernetes-validate",
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--root-user-action", "ignore", KUBERNETES_VALIDATE, "--target"])
                .arg(&directory),
        )?;
        fs::write(&complete, KUBERNETES_VALIDATE)
            .with_context(|| format!("can't write {}", complete.display()))?;
    }
    let mut command = Command::new("python3");
    command.args(["-m", "kubernetes_validate"]).env("PYTHONPATH", &directory);
    Ok(command)
}

/// Creates an empty directory in place of what an interrupted run has left.
fn create(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("can't remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("can't create {}", directory.display()))
}
