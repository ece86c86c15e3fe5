//! A container's network needs more single pages than the node has. The allocation gives up at once,
//! or it may not wait at all. The controls need few.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::{node, state};

/// What the node has left, in MiB, and what its containers' networks take.
const LEFT: u64 = 48;
const MORE: u32 = 256;
const LITTLE: u32 = 1;

/// The faults, and how much the module insists on its pages.
const FAULTS: [(&str, u32); 2] = [("gives-up", 1), ("atomic", 0)];

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_module("fragwatch_pernet", c"order=0")?;
    let prepare = |side| FAULTS.map(|(fault, _)| Attempt::prepare(node, side, fault));
    let attempts = prepare(Side::Control).into_iter().zip(prepare(Side::Faulty)).zip(FAULTS);
    // Victims for the OOM killer, which other processes may trigger while there is no memory.
    node.states.push(state::exhaust(node.channel, LEFT, -1000)?);
    for ((control, faulty), (_, insist)) in attempts {
        let (mut control, mut faulty) = (control?, faulty?);
        node::set_pernet("insist", insist)?;
        control.enter()?;
        faulty.enter()?;
        node::set_pernet("take_mib", LITTLE)?;
        let outcome = control.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        outcome.context("with memory a network namespace must be made")?;
        node::set_pernet("take_mib", MORE)?;
        let outcome = faulty.take(node, &Step::Unshare(CloneFlags::CLONE_NEWNET))?;
        if outcome != Err(Errno::ENOMEM) {
            bail!("without memory the errno must be ENOMEM, and it is {outcome:?}");
        }
    }
    Ok(())
}
