//! Programs of a container's start that the kernel refuses for a limit of its own: a seccomp filter, for which the
//! memory of compiled programs is used up, and before Linux 5.11 a cgroup's device filter, which counts against
//! `RLIMIT_MEMLOCK`. The controls take theirs before.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::node;
use crate::start_step::StartStep;

/// What compiled programs may have, in bytes.
const JIT_LIMIT: &str = "net/core/bpf_jit_limit";

pub(super) fn seccomp(node: &mut Node) -> Result<()> {
    for side in [Side::Control, Side::Faulty] {
        let mut attempt = Attempt::prepare(node, side, "seccomp")?;
        attempt.enter()?;
        // Who may load programs of all kinds is not limited.
        attempt
            .quietly(&Step::Start(StartStep::BecomeUser(4005)))?
            .context("the creator can't become another user")?;
        if side == Side::Faulty {
            node::set(JIT_LIMIT, "1")?;
        }
        let outcome = attempt.take(node, &Step::Start(StartStep::Seccomp))?;
        match side {
            Side::Control => outcome.context("with room a filter must be taken")?,
            // ENOTSUPP, which is an errno inside the kernel only.
            Side::Faulty if outcome == Err(Errno::UnknownErrno) => {}
            Side::Faulty => bail!("at the limit the errno must be ENOTSUPP, and it is {outcome:?}"),
        }
    }
    Ok(())
}

pub(super) fn device_filter(node: &mut Node) -> Result<()> {
    for (side, limit) in [(Side::Control, 1 << 20), (Side::Faulty, 0)] {
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
