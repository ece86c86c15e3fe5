//! A limit on namespaces is reached: on network namespaces, and, for a container that has the host's
//! network, on pid namespaces. The controls come when there is one left.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::{self, Step};
use crate::node;

pub(super) fn run(node: &mut Node) -> Result<()> {
    reach(node, "net", "max_net_namespaces", CloneFlags::CLONE_NEWNET)?;
    reach(node, "pid", "max_pid_namespaces", creator::NAMESPACES)
}

/// Leaves one namespace, which the control takes: the machine's first of each doesn't count.
fn reach(node: &Node, part: &'static str, limit: &str, flags: CloneFlags) -> Result<()> {
    let mut faulty = Attempt::prepare(node, Side::Faulty, part)?;
    let mut control = Attempt::prepare(node, Side::Control, part)?;
    node::set(&format!("user/{limit}"), "1")?;
    control.enter()?;
    control.take(node, &Step::Unshare(flags))?.context("one below the limit it must be made")?;
    faulty.enter()?;
    let outcome = faulty.take(node, &Step::Unshare(flags))?;
    if outcome != Err(Errno::ENOSPC) {
        bail!("at the limit the errno must be ENOSPC, and it is {outcome:?}");
    }
    Ok(())
}
