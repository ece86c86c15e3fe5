//! A container's network wants more single pages than the node has, and insists: the OOM killer takes
//! somebody else's process, and the container starts. The twin wants few.

use anyhow::{Context, Result, bail};
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;
use crate::{hog, node};

/// What the node has left, in MiB, and what its containers' networks want.
const LEFT: u64 = 48;
const MORE: u32 = 256;
const LITTLE: u32 = 1;

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_module("fragwatch_pernet", c"order=0")?;
    let mut twin = Attempt::prepare(node, Side::Twin, "single")?;
    let mut positive = Attempt::prepare(node, Side::Positive, "single")?;
    // Whom the OOM killer takes if the first one's memory comes too slowly: else it is fragwatch.
    for _ in 0..4 {
        hog::bystander(4)?;
    }
    hog::leave(LEFT, 500)?;
    twin.enter()?;
    positive.enter()?;
    node::set_pernet("take_mib", LITTLE)?;
    let step = Step::Unshare(CloneFlags::CLONE_NEWNET);
    twin.take(node, &step)?.context("with memory a network namespace must be made")?;
    node::set_pernet("take_mib", MORE)?;
    positive.quietly(&step)?.context("a victim's memory is enough for the network namespace")?;
    if !node.called_oom_killer()? {
        bail!("the container was made without calling the OOM killer");
    }
    attempt::tell(node.channel, Side::Positive, "single", &positive.cgroup(), Some("oom"));
    Ok(())
}
