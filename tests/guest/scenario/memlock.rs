//! A cgroup's device filter counts against `RLIMIT_MEMLOCK` before Linux 5.11, which has no room for it. The
//! control's has.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::start_step::StartStep;

pub(super) fn run(node: &mut Node) -> Result<()> {
    // What fragwatch has counts against the same user's limit.
    for (side, limit) in [(Side::Control, 1 << 30), (Side::Faulty, 0)] {
        let mut attempt = Attempt::prepare(node, side, "device-filter")?;
        attempt.enter()?;
        attempt
            .quietly(&Step::Start(StartStep::LimitLocked(limit)))?
            .context("the creator can't limit itself")?;
        let outcome = attempt.take(node, &Step::Start(StartStep::DeviceFilter))?;
        match side {
            Side::Control => outcome.context("with room a program must be loaded")?,
            Side::Faulty if outcome == Err(Errno::EPERM) => {}
            Side::Faulty => bail!("at the limit the errno must be EPERM, and it is {outcome:?}"),
        }
    }
    Ok(())
}
