//! Programs that run for long make namespaces of their own, some of which are refused: a browser of a user and one of
//! root's in a container that is no longer young, a user's program on the node itself, and a service with a network of
//! its own. Then a container's namespaces are refused, and the control's made.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::{node, sandbox};

/// Sandboxes of each program that are made, and that are refused.
const SANDBOXES: u32 = 30;
/// A container is young for ten seconds.
const OLD: Duration = Duration::from_secs(11);

/// Directories of cgroups below their mount point, the users in them, and the names of their programs.
const PROGRAMS: [(&str, u32, &str); 4] = [
    (CONTAINER, 1000, "chrome"),
    (CONTAINER, 0, "Web Content"),
    ("user.slice/user-1001.slice/app.slice", 1001, "bwrap"),
    ("system.slice/httpd.service", 0, "(httpd)"),
];
const CONTAINER: &str = "kubepods/burstable/pod01d01d01-6f1d-4c57-9a3e-1f0c2d7b8a03/\
                         f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f";

pub(super) fn run(node: &mut Node) -> Result<()> {
    let root = node::cgroup_root(node.cgroups, "memory");
    for (directory, _, _) in PROGRAMS {
        let path = format!("{root}/{directory}");
        fs::create_dir_all(&path).with_context(|| format!("can't make {path}"))?;
    }
    thread::sleep(OLD);
    for (directory, user, comm) in PROGRAMS {
        let procs = format!("{root}/{directory}/cgroup.procs");
        sandbox::run(user, comm, &procs, SANDBOXES)?;
    }
    node.channel.node(format!("{} programs had {SANDBOXES} sandboxes refused", PROGRAMS.len()));
    let mut faulty = Attempt::prepare(node, Side::Faulty, "net")?;
    let mut control = Attempt::prepare(node, Side::Control, "net")?;
    control.enter()?;
    let outcome = control.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
    outcome.context("below the limit it must be made")?;
    faulty.enter()?;
    node::set("user/max_net_namespaces", "0")?;
    let outcome = faulty.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
    if outcome != Err(Errno::ENOSPC) {
        bail!("at the limit the errno must be ENOSPC, and it is {outcome:?}");
    }
    Ok(())
}
