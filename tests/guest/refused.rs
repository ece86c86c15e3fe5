//! An unprivileged user whose network namespaces are refused, one after the other: in a user namespace of its own
//! it may make none.

use std::ffi::CStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_name;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::node;

/// The user.
pub(crate) const USER: u32 = 1000;
/// The name that it gives itself: that of runc's second stage.
const COMM: &CStr = c"runc:[1:CHILD]";

/// The process.
pub(crate) struct Refused {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Refused {
    /// Starts it, for so many refusals; returns when the first tenth is over.
    pub(crate) fn start(count: u32) -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .args(["refused", &count.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start the user's process")?;
        let stdout = child.stdout.take().context("the user's process has no stdout")?;
        let mut refused = Self { child, lines: BufReader::new(stdout) };
        refused.line()?;
        Ok(refused)
    }

    /// Waits until all are over.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.line()?;
        let status = self.child.wait().context("can't wait for the user's process")?;
        if !status.success() {
            bail!("the user's process ended with {status}");
        }
        Ok(())
    }

    fn line(&mut self) -> Result<()> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).context("can't read from the user's process")?;
        if read == 0 {
            bail!("the user's process ended, {}; its error is on the console", self.child.wait()?);
        }
        Ok(())
    }
}

/// What the process does.
pub(crate) fn run_child(count: &str) -> Result<()> {
    let count: u32 = count.parse().context("the number of refusals is malformed")?;
    become_user()?;
    unshare(CloneFlags::CLONE_NEWUSER).context("can't make a user namespace")?;
    node::set("user/max_net_namespaces", "0")?;
    for number in 1..=count {
        match unshare(CloneFlags::CLONE_NEWNET) {
            Err(Errno::ENOSPC) => {}
            outcome => bail!("a network namespace must be refused, and this is {outcome:?}"),
        }
        if number == count / 10 || number == count {
            println!("{number}");
            std::io::stdout().flush().context("can't print the number of refusals")?;
        }
    }
    Ok(())
}

fn become_user() -> Result<()> {
    set_name(COMM).context("can't take the name")?;
    setgroups(&[]).context("can't leave groups")?;
    setgid(Gid::from_raw(USER)).context("can't change the group")?;
    setuid(Uid::from_raw(USER)).context("can't change the user")
}
