//! A container's network needs more single pages than the node has, and never gives up: the OOM killer takes
//! another process, and the container starts. The control needs few.

use anyhow::{Context, Result, bail};
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;
use crate::{node, state};

/// What the node has left, in MiB, and what its containers' networks take.
const LEFT: u64 = 48;
const MORE: u32 = 256;
const LITTLE: u32 = 1;

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_module("fragwatch_pernet", c"order=0")?;
    let mut control = Attempt::prepare(node, Side::Control, "single")?;
    let mut faulty = Attempt::prepare(node, Side::Faulty, "single")?;
    // Further victims for the OOM killer if the first one's memory is freed too slowly: else it takes
    // fragwatch.
    node.states.push(state::exhaust(node.channel, LEFT, 500)?);
    control.enter()?;
    faulty.enter()?;
    node::set_pernet("take_mib", LITTLE)?;
    let step = Step::Unshare(CloneFlags::CLONE_NEWNET);
    control.take(node, &step)?.context("with memory a network namespace must be made")?;
    node::set_pernet("take_mib", MORE)?;
    faulty.quietly(&step)?.context("a victim's memory is enough for the network namespace")?;
    if !node.called_oom_killer()? {
        bail!("the container was made without calling the OOM killer");
    }
    attempt::report(node.channel, Side::Faulty, "single", &faulty.cgroup(), Some("oom"));
    Ok(())
}
