//! A pod is at its memory limit when a container's start forks or takes a seccomp filter: the stack of the new
//! thread, or the filter, can't be charged. The control's pod has room.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::start_step::StartStep;

/// A limit that is enough, in KiB.
const ENOUGH: u64 = 8192;
/// How far above what the pod uses its limit is, in KiB: less than a thread's stack or the filter takes.
const ROOM: [u64; 4] = [8, 4, 0, 12];

pub(super) fn fork(node: &mut Node) -> Result<()> {
    fail(node, "fork", &Step::Fork)
}

pub(super) fn seccomp(node: &mut Node) -> Result<()> {
    fail(node, "seccomp", &Step::Start(StartStep::Seccomp))
}

fn fail(node: &mut Node, fault: &'static str, step: &Step) -> Result<()> {
    let attempts = [Side::Control, Side::Faulty].map(|side| Attempt::prepare(node, side, fault));
    let [control, faulty] = attempts;
    let (mut control, mut faulty) = (control?, faulty?);
    control.set("memory", "memory.max", &(ENOUGH * 1024).to_string())?;
    control.enter()?;
    control.take(node, step)?.context("with room it must succeed")?;
    faulty.set("memory", "memory.max", &(ENOUGH * 1024).to_string())?;
    faulty.enter()?;
    for room in ROOM {
        // What CPUs hold in advance is given back.
        faulty.set("memory", "memory.high", "0")?;
        faulty.set("memory", "memory.high", "max")?;
        faulty.limit("memory", "memory.max", "memory.current", room * 1024)?;
        match faulty.quietly(step)? {
            Err(Errno::ENOMEM) => {
                faulty.report(node, Err(Errno::ENOMEM));
                return Ok(());
            }
            Err(errno) => bail!("at the limit the errno must be ENOMEM, and it is {errno}"),
            Ok(()) => {}
        }
    }
    bail!("it succeeded at each of the limits")
}
