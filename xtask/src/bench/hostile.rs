//! Logs in which every line belongs to a failure: behind what syslog puts before a line, and behind
//! something that no program is known to write.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::journal;

/// Failures in each.
const INCIDENTS: u64 = 5_000;

/// Of containers.
const ID: &str = "0a8fd4f1e9b7c6d5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1";

/// The logs: with the known beginning, and with the other.
pub(super) fn generate(directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let known = |at: u64| format!("Nov 20 {} node-7 ", clock(at));
    let unknown = |at: u64| format!("{at}) src=node-7 when={} ~> ", clock(at));
    let known = write(&directory.join("hostile-known.log"), &known)?;
    let unknown = write(&directory.join("hostile-unknown.log"), &unknown)?;
    Ok((known, unknown))
}

/// The time of a failure: they are far enough apart to be several.
fn clock(at: u64) -> String {
    let seconds = at / 50 * 20;
    format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

fn write(path: &Path, beginning: &dyn Fn(u64) -> String) -> Result<PathBuf> {
    let mut text = String::new();
    for at in 0..INCIDENTS {
        for (line, number) in journal::INCIDENT.lines().zip(0..) {
            let begin = beginning(at * 50 + number);
            // A String takes everything.
            let _ = writeln!(text, "{begin}{}", line.replace('#', "7").replace('@', ID));
        }
    }
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    Ok(path.to_owned())
}
