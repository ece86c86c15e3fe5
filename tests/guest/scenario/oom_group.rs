//! A process of a container is chosen by the OOM killer because its pod is at its limit, and the kernel kills
//! the rest of the pod with it (`memory.oom.group`), among them one that waits for its turn to make a network
//! namespace. The control waits too, in another pod.

use anyhow::{Context, Result};

use super::Node;
use super::killed::while_both_wait;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;

/// What the pod has room for, in bytes, and what one of its processes writes to a tmpfs, in MiB.
const ROOM: u64 = 8 * 1024 * 1024;
const WRITTEN: u64 = 64;

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut faulty = Attempt::prepare(node, Side::Faulty, "group")?;
    let mut greedy = Attempt::prepare(node, Side::Faulty, "group")?;
    let mut control = Attempt::prepare(node, Side::Control, "group")?;
    // The OOM killer takes the highest score first.
    for (attempt, score) in [(&mut faulty, "0"), (&mut greedy, "500"), (&mut control, "0")] {
        attempt.enter()?;
        attempt.set("memory", "memory.oom.group", "1")?;
        attempt.quietly(&Step::Score(score))?.context("the creator can't be made killable")?;
    }
    while_both_wait(node, c"order=0 hold_ms=8000", faulty, control, |faulty| {
        faulty.limit("memory", "memory.max", "memory.current", ROOM)?;
        attempt::report(node.channel, Side::Faulty, "group", &faulty.cgroup(), Some("killed"));
        greedy.creator().begin(&Step::Write("/run/greedy", WRITTEN))?;
        greedy.into_creator().wait()?;
        faulty.into_creator().wait()
    })
}
