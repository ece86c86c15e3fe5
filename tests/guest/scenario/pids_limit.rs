//! A pod is at its limit of processes when a container's start forks. The control's pod has
//! room.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;

pub(super) fn run(node: &mut Node) -> Result<()> {
    for (side, limit) in [(Side::Control, 8), (Side::Faulty, 1)] {
        let mut attempt = Attempt::prepare(node, side, "fork")?;
        attempt.limit("pids", "pids.max", "pids.current", limit)?;
        attempt.enter()?;
        let outcome = attempt.take(node, &Step::Fork)?;
        match side {
            Side::Control => outcome.context("with room a process must be made")?,
            Side::Faulty if outcome == Err(Errno::EAGAIN) => {}
            Side::Faulty => bail!("at the limit the errno must be EAGAIN, and it is {outcome:?}"),
        }
    }
    Ok(())
}
