//! Runtimes that run all the time, each in a cgroup of its own as under systemd.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::job::Cgroups;

use crate::node;

/// An emulated processor takes its time.
const DEADLINE: Duration = Duration::from_mins(3);
/// How much of its log an error shows, in bytes.
const TAIL: usize = 2000;
/// Enters the cgroup and becomes the daemon, which the OOM killer spares.
const ENTER: &str =
    "echo $$ > \"$0/cgroup.procs\" && echo -999 > /proc/self/oom_score_adj && exec \"$@\"";

/// What there is to know of one.
pub(super) struct Daemon {
    /// The name of its unit and its log.
    pub(super) name: &'static str,
    /// The program and its arguments.
    pub(super) command: &'static [&'static str],
    /// Where it listens when it is ready.
    pub(super) socket: &'static str,
}

impl Daemon {
    /// Starts it and waits until it listens. It runs until the machine ends.
    pub(super) fn start(&self) -> Result<()> {
        let root = node::cgroup_root(Cgroups::V2, "");
        let cgroup = format!("{root}/system.slice/{}.service", self.name);
        fs::create_dir_all(&cgroup).with_context(|| format!("can't create {cgroup}"))?;
        let path = format!("/var/log/{}.log", self.name);
        let log = File::create(&path).with_context(|| format!("can't create {path}"))?;
        let errors = log.try_clone().with_context(|| format!("can't share {path}"))?;
        let mut child = Command::new("/bin/busybox")
            .args(["sh", "-c", ENTER, &cgroup])
            .args(self.command)
            .env("PATH", super::PATH)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("can't start {}", self.name))?;
        let started = Instant::now();
        while UnixStream::connect(self.socket).is_err() {
            let log_tail = || tail(&fs::read_to_string(&path).unwrap_or_default());
            if let Some(status) = child.try_wait().context("can't get the state of a daemon")? {
                bail!("{} ended, {status}: {}", self.name, log_tail());
            }
            if started.elapsed() > DEADLINE {
                bail!(
                    "{} doesn't listen on {} after {} s: {}",
                    self.name,
                    self.socket,
                    DEADLINE.as_secs(),
                    log_tail()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

fn tail(text: &str) -> String {
    let mut from = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].trim().to_owned()
}
