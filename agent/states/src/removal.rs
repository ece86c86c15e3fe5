//! Removes cgroups with all that is in them.
use std::{
    fs::{self, DirEntry},
    io::ErrorKind,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long processes may take to end once they were killed.
const DEADLINE: Duration = Duration::from_secs(20);

/// Ends all processes of a cgroup and of those below it, and removes them. One that is not there is
/// removed already.
pub(crate) fn remove(directory: &str) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match remove_tree(Path::new(directory)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("could not remove {directory}"));
            }
            // Its processes take a moment to end.
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn remove_tree(directory: &Path) -> std::io::Result<()> {
    let is_directory = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    for entry in fs::read_dir(directory)?.flatten().filter(is_directory) {
        remove_tree(&entry.path())?;
    }
    for pid in fs::read_to_string(directory.join("cgroup.procs"))?.lines() {
        if let Some(pid) = pid.parse().ok().filter(|pid| *pid > 0) {
            // It fails only if the process is gone.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    fs::remove_dir(directory)
}
