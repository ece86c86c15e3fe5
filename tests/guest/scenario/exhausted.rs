//! A container's network wants more single pages than the node has. It gives up at once, or it must
//! not even wait for them. The twins want few.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::{hog, node};

/// What the node has left, in MiB, and what its containers' networks want.
const LEFT: u64 = 48;
const MORE: u32 = 256;
const LITTLE: u32 = 1;

/// What is told apart, and how much the module insists on its pages.
const PARTS: [(&str, u32); 2] = [("gives-up", 1), ("atomic", 0)];

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_module("fragwatch_pernet", c"order=0")?;
    let prepare = |side| PARTS.map(|(part, _)| Attempt::prepare(node, side, part));
    let attempts = prepare(Side::Twin).into_iter().zip(prepare(Side::Positive)).zip(PARTS);
    // Whoever needs memory while there is none has them killed.
    for _ in 0..4 {
        hog::bystander(4)?;
    }
    hog::leave(LEFT, -1000)?;
    for ((twin, positive), (_, insist)) in attempts {
        let (mut twin, mut positive) = (twin?, positive?);
        node::set_pernet("insist", insist)?;
        twin.enter()?;
        positive.enter()?;
        node::set_pernet("take_mib", LITTLE)?;
        let outcome = twin.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        outcome.context("with memory a network namespace must be made")?;
        node::set_pernet("take_mib", MORE)?;
        let outcome = positive.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        if outcome != Err(Errno::ENOMEM) {
            bail!("without memory the kernel answers ENOMEM, not {outcome:?}");
        }
    }
    Ok(())
}
