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

/// How often another process may ask for memory first, for which the OOM killer then makes room.
const TRIES: u32 = 5;

pub(super) fn run(node: &mut Node) -> Result<()> {
    node::load_module("fragwatch_pernet", c"order=0")?;
    let mut control = Some(Attempt::prepare(node, Side::Control, "single")?);
    let step = Step::Unshare(CloneFlags::CLONE_NEWNET);
    for _ in 0..TRIES {
        let mut faulty = Attempt::prepare(node, Side::Faulty, "single")?;
        // Further victims for the OOM killer if the first one's memory is freed too slowly: else it takes
        // fragwatch.
        let exhausted = state::exhaust(node.channel, LEFT, 500)?;
        if let Some(mut control) = control.take() {
            control.enter()?;
            node::set_pernet("take_mib", LITTLE)?;
            control.take(node, &step)?.context("with memory a network namespace must be made")?;
        }
        faulty.enter()?;
        node::set_pernet("take_mib", MORE)?;
        faulty.quietly(&step)?.context("a victim's memory is enough for the network namespace")?;
        if node.called_oom_killer()? {
            node.states.push(exhausted);
            attempt::report(node.channel, Side::Faulty, "single", &faulty.cgroup(), Some("oom"));
            return Ok(());
        }
        state::end(exhausted)?;
    }
    bail!("in {TRIES} tries the container was made without calling the OOM killer")
}
