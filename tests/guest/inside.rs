//! Another program in a cgroup namespace of its own, as in a container: it sees its own cgroup as the
//! root.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// The cgroup that becomes the namespace's root.
pub(crate) const CGROUP: &str = "/node";
/// The one in it that the program runs in: one that gives controllers to those below it has no
/// processes of its own.
pub(crate) const LEAF: &str = "/node/agent";

const MOUNT: &str = "/sys/fs/cgroup";

/// `program` in there.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["inside", program]);
    command
}

/// What the child does: it enters the cgroup, makes the namespace, whose root is where it is then,
/// enters the leaf, and becomes the program.
pub(crate) fn run_child(program: &str, args: &[String]) -> Result<()> {
    let enter = |cgroup: &str| {
        let procs = format!("{MOUNT}{cgroup}/cgroup.procs");
        fs::write(&procs, "0").with_context(|| format!("can't enter {procs}"))
    };
    enter(CGROUP)?;
    unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWNS)
        .context("can't make a cgroup namespace")?;
    enter(LEAF)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .context("can't make its mounts private")?;
    umount2(MOUNT, MntFlags::MNT_DETACH).with_context(|| format!("can't unmount {MOUNT}"))?;
    mount(Some("cgroup2"), MOUNT, Some("cgroup2"), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("can't mount cgroup2 on {MOUNT}"))?;
    Err(Command::new(program).args(args).exec()).with_context(|| format!("can't run {program}"))
}
