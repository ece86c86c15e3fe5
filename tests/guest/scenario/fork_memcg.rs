//! A pod is at its memory limit when a container's start forks: the stack of the new thread can't be charged.
//! The control's pod has room.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;

/// A limit that is enough, in KiB.
const ENOUGH: u64 = 8192;
/// How far above what the pod uses its limit is, in KiB: less than a thread's stack takes.
const ROOM: [u64; 4] = [8, 4, 0, 12];

pub(super) fn run(node: &mut Node) -> Result<()> {
    let attempts = [Side::Control, Side::Faulty].map(|side| Attempt::prepare(node, side, "fork"));
    let [control, faulty] = attempts;
    let (mut control, mut faulty) = (control?, faulty?);
    control.limit("memory", "memory.max", &(ENOUGH * 1024).to_string())?;
    control.enter()?;
    control.take(node, &Step::Fork)?.context("with room a process must be made")?;
    faulty.limit("memory", "memory.max", &(ENOUGH * 1024).to_string())?;
    faulty.enter()?;
    for room in ROOM {
        // What CPUs hold in advance is given back.
        faulty.limit("memory", "memory.high", "0")?;
        faulty.limit("memory", "memory.high", "max")?;
        let bytes = faulty.usage("memory", "memory.current")? + room * 1024;
        faulty.limit("memory", "memory.max", &bytes.to_string())?;
        match faulty.quietly(&Step::Fork)? {
            Err(Errno::ENOMEM) => {
                faulty.report(node, Err(Errno::ENOMEM));
                return Ok(());
            }
            Err(errno) => bail!("at the limit the errno must be ENOMEM, and it is {errno}"),
            Ok(()) => {}
        }
    }
    bail!("a process was made at each of the limits")
}
