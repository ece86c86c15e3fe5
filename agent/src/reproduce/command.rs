//! The command that is run in the state.
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::{
        fd::AsFd as _,
        unix::{
            fs::PermissionsExt as _,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use fragwatch_states::Keeper;
use nix::{
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, killpg},
    },
    unistd::Pid,
};

use crate::reproduce::{POLL, plan::Plan};

/// How long a command may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// The program to run.
pub(super) struct Program {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its `oom_score_adj`: that which fragwatch had at its start.
    pub(super) oom_score_adj: String,
}

/// How the command ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Its exit code or signal.
    pub(super) status: ExitStatus,
    /// It did not end in time, and was killed.
    pub(super) timed_out: bool,
    /// How long it ran.
    pub(super) took: Duration,
}

impl Ended {
    /// The signal that ended it.
    pub(super) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Whether it succeeded.
    pub(super) fn success(&self) -> bool {
        self.status.success() && !self.timed_out
    }
}

/// Finds the program, as a shell would.
///
/// # Errors
/// If there is none that can be run.
pub(super) fn find(name: &OsStr) -> anyhow::Result<PathBuf> {
    let is_program = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let path = Path::new(name);
    if path.components().count() > 1 || path.is_absolute() {
        if is_program(path) {
            return Ok(path.to_owned());
        }
        bail!("there is no program {}", path.display());
    }
    let directories = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let found = std::env::split_paths(&directories).map(|directory| directory.join(name));
    found
        .into_iter()
        .find(|path| is_program(path))
        .with_context(|| format!("there is no program {} in $PATH", path.display()))
}

/// Runs it to its end, or to the end of its time.
///
/// # Errors
/// If it can't be started.
pub(super) fn run(
    plan: &Plan,
    program: &Program,
    keeper: &mut Keeper,
    stopped: &dyn Fn() -> bool,
) -> anyhow::Result<Ended> {
    // Standard output is for the report.
    let output =
        std::io::stderr().as_fd().try_clone_to_owned().context("could not share stderr")?;
    let began = Instant::now();
    let mut command = Command::new(&program.path);
    command
        .args(plan.run.command.iter().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::from(output))
        .process_group(0);
    if let Some(cgroup) = plan.cgroup {
        command.env("FRAGWATCH_CGROUP", cgroup);
    }
    let oom_score_adj = program.oom_score_adj.clone();
    let prepare = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // The OOM killer may take it, as it would without us.
        fs::write("/proc/self/oom_score_adj", &oom_score_adj)
    };
    // SAFETY: between fork and exec the closure makes system calls; the path is short enough to be ended
    // with a NUL on the stack, so nothing is allocated.
    unsafe { command.pre_exec(prepare) };
    let mut child =
        command.spawn().with_context(|| format!("could not run {}", program.path.display()))?;
    keeper.guard(Some(child.id())).context("the process that keeps the state ended")?;
    let ended = wait(&mut child, began, plan.run.timeout, stopped)?;
    keeper.guard(None).context("the process that keeps the state ended")?;
    Ok(ended)
}

fn wait(
    child: &mut Child,
    began: Instant,
    timeout: Duration,
    stopped: &dyn Fn() -> bool,
) -> anyhow::Result<Ended> {
    let mut timed_out = false;
    let mut kill_at = None;
    loop {
        if let Some(status) = child.try_wait().context("could not wait for the command")? {
            return Ok(Ended { status, timed_out, took: began.elapsed() });
        }
        let group = Pid::from_raw(child.id().cast_signed());
        match kill_at {
            None if began.elapsed() > timeout || stopped() => {
                timed_out = !stopped();
                // It fails only if the group is gone.
                let _ = killpg(group, Signal::SIGTERM);
                kill_at = Some(Instant::now() + GRACE);
            }
            Some(at) if Instant::now() > at => _ = killpg(group, Signal::SIGKILL),
            _ => {}
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_does() {
        assert!(find(OsStr::new("sh")).is_ok_and(|path| path.is_absolute()));
        assert!(find(OsStr::new("/bin/sh")).is_ok());
        for wrong in ["no-such-program", "/no/such/program", "/etc/passwd", "/tmp"] {
            assert!(find(OsStr::new(wrong)).is_err(), "{wrong}");
        }
    }
}
