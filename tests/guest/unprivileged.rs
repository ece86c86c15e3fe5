//! Another program as a user without privileges, with some capabilities alone: ambient ones, as a
//! service manager gives them.

use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use caps::{CapSet, Capability};
use nix::sys::prctl::set_keepcaps;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

/// `program` as that user, with `capabilities` (names, separated by commas; none if empty).
pub(crate) fn command(capabilities: &str, program: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["unprivileged", capabilities, program]);
    command
}

/// What the child does: it becomes that user, and then the program.
pub(crate) fn run_child(capabilities: &str, program: &[String]) -> Result<()> {
    let wanted = capabilities
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.parse().map_err(|_| anyhow!("there is no capability {name}")))
        .collect::<Result<HashSet<Capability>>>()?;
    set_keepcaps(true).context("can't keep capabilities")?;
    setgroups(&[]).context("can't leave root's groups")?;
    setgid(Gid::from_raw(NOBODY)).context("can't leave root's group")?;
    setuid(Uid::from_raw(NOBODY)).context("can't become another user")?;
    for set in [CapSet::Permitted, CapSet::Effective, CapSet::Inheritable, CapSet::Ambient] {
        caps::set(None, set, &wanted).with_context(|| format!("can't set {set:?} capabilities"))?;
    }
    let (program, args) = program.split_first().context("there is no program to run")?;
    Err(Command::new(program).args(args).exec()).with_context(|| format!("can't run {program}"))
}
