//! A container's user has as many processes as its `RLIMIT_NPROC` allows when the start forks. The control's
//! user may have more.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::start_step::StartStep;

pub(super) fn run(node: &mut Node) -> Result<()> {
    for (side, uid, limit) in [(Side::Control, 4001, 100), (Side::Faulty, 4002, 1)] {
        let mut attempt = Attempt::prepare(node, side, "fork")?;
        attempt.enter()?;
        for step in [StartStep::LimitProcesses(limit), StartStep::BecomeUser(uid)] {
            attempt.quietly(&Step::Start(step))?.context("the creator can't prepare itself")?;
        }
        let outcome = attempt.take(node, &Step::Fork)?;
        match side {
            Side::Control => outcome.context("with room a process must be made")?,
            Side::Faulty if outcome == Err(Errno::EAGAIN) => {}
            Side::Faulty => bail!("at the limit the errno must be EAGAIN, and it is {outcome:?}"),
        }
    }
    Ok(())
}
