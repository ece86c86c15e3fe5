//! A pod is full of files that a container of it has put on a tmpfs, and the cgroup of its next container
//! can't be made: what a new cgroup takes is charged to its parent. The control's pod has room.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Node;
use super::memcg_limit::MEMORY;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;

/// What the first container writes, in MiB.
const WRITTEN: u64 = 8;
/// How far above what it uses the control's limit is, in bytes.
const ROOM: u64 = 8 * 1024 * 1024;
const ATTEMPTS: u32 = 3;

pub(super) fn run(node: &mut Node) -> Result<()> {
    for (side, room) in [(Side::Control, ROOM), (Side::Faulty, 0)] {
        let mut first = Attempt::prepare(node, side, "mkdir")?;
        let mut next = Attempt::prepare(node, side, "mkdir")?;
        first.enter()?;
        let file = format!("/run/{}", side.name());
        first.quietly(&Step::Write(&file, WRITTEN))?.context("the file must be written")?;
        MEMORY.set(&first, room)?;
        for _ in 0..ATTEMPTS {
            match (side, next.make_cgroup(node)?) {
                (Side::Control, outcome) => outcome.context("with room a cgroup must be made")?,
                (Side::Faulty, Err(Errno::ENOMEM)) => {}
                (Side::Faulty, outcome) => bail!("in a full pod mkdir came to {outcome:?}"),
            }
        }
    }
    Ok(())
}
