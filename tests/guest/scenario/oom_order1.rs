//! Memory is free, but in single pages: a container's start, which must have two in one piece for a
//! process, has the OOM killer called. Before that the control, on the same node with memory in one
//! piece.

use anyhow::{Context, Result, bail};

use super::Node;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;
use crate::state;

/// More than there are blocks left for; without compaction they would be enough to fill the node.
const PROCESSES: u32 = 4000;
/// Blocks that are left for other processes.
const LEFT: u64 = 256;

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut control = Attempt::prepare(node, Side::Control, "fork")?;
    let mut faulty = Attempt::prepare(node, Side::Faulty, "fork")?;
    control.enter()?;
    control.take(node, &Step::ForkAndStay)?.context("on a healthy node a process must be made")?;
    // The fragmenter can't be killed, or memory would be whole again.
    node.states.push(state::reach(node.channel, &vec![state::bystander(8); 6])?);
    node.states.push(state::fragment(node.channel, 1, LEFT)?);
    faulty.enter()?;
    for number in 1..=PROCESSES {
        if !node.watched()? {
            return Ok(());
        }
        faulty.quietly(&Step::ForkAndStay)?.context("a victim's memory is enough for it")?;
        if number % 5 == 0 && node.called_oom_killer()? {
            node.channel
                .node(format!("process {number} or one of the last triggered the OOM killer"));
            attempt::report(node.channel, Side::Faulty, "fork", &faulty.cgroup(), Some("oom"));
            return Ok(());
        }
    }
    bail!("{PROCESSES} processes were made without calling the OOM killer")
}
