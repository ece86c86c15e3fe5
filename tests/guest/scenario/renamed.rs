//! A container's cgroup gets another name (v1 only) before a process of it is refused.

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut attempt = Attempt::prepare(node, Side::Faulty, "fork")?;
    attempt.limit("pids", "pids.max", "pids.current", 1)?;
    attempt.enter()?;
    attempt.rename()?;
    let outcome = attempt.take(node, &Step::Fork)?;
    if outcome != Err(Errno::EAGAIN) {
        bail!("at the limit the errno must be EAGAIN, and it is {outcome:?}");
    }
    Ok(())
}
