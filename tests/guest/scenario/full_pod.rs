//! A pod is full of files that a container of it has put on a tmpfs, and the cgroup of its next container
//! can't be made: what a new cgroup takes is charged to its parent. The control's pod has room.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use super::memcg_limit::MEMORY;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;

/// What the first container writes, in MiB.
const WRITTEN: u64 = 8;
/// How far above what it uses the control's limit is, in bytes.
const ROOM: u64 = 8 * 1024 * 1024;
/// Cgroups that are made in the control's pod, and that fail in the other.
const ATTEMPTS: u32 = 3;
/// The kernel may give back some of the pod's own names and inodes, and take what a CPU holds in advance.
const TRIES: u32 = 100;

pub(super) fn run(node: &mut Node) -> Result<()> {
    let (first, mut control) = fill(node, Side::Control)?;
    MEMORY.set(&first, ROOM)?;
    for _ in 0..ATTEMPTS {
        control.make_cgroup(node)?.context("with room a cgroup must be made")?;
    }
    let (first, mut faulty) = fill(node, Side::Faulty)?;
    let mut failures = 0;
    for _ in 0..TRIES {
        MEMORY.set(&first, 0)?;
        match faulty.make_cgroup_quietly()? {
            Ok(()) => continue,
            Err(Errno::ENOMEM) => faulty.report(node, Err(Errno::ENOMEM)),
            Err(errno) => bail!("in a full pod mkdir came to {errno:?}"),
        }
        failures += 1;
        if failures == ATTEMPTS {
            return Ok(());
        }
    }
    bail!("of {TRIES} cgroups in a full pod {failures} could not be made")
}

/// Has a container fill its pod. Returns it, and the process that will make the next one from outside.
fn fill(node: &Node, side: Side) -> Result<(Attempt, Attempt)> {
    let mut first = Attempt::prepare(node, side, "mkdir")?;
    let next = Attempt::prepare(node, side, "mkdir")?;
    first.enter()?;
    let file = format!("/run/{}", side.name());
    first.quietly(&Step::Write(&file, WRITTEN))?.context("the file must be written")?;
    Ok((first, next))
}
