//! A pod is at its memory limit, and network namespaces can't be made in it, though the node has
//! memory in plenty; then the same on a node that is fragmented too. Their twin's pod has room.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::fragmenter;

/// A limit that is enough, in KiB.
const ENOUGH: u64 = 8192;
/// How far above what the pod uses its limit is, in KiB: least, most, and what comes between two
/// attempts. Each lets a namespace get another part of what it needs.
const ROOM: std::ops::RangeInclusive<u64> = 8..=240;
const STEP: usize = 4;
/// Rounds after the first go no further than this, in KiB: the first subsystems are set up there.
const FIRST_SUBSYSTEMS: u64 = 48;
const ROUNDS: u32 = 6;
/// Network namespaces that fail on each node.
const FAILURES: usize = 3;

/// A limit of a pod.
pub(super) struct Limit {
    /// The file that sets it.
    pub(super) limit: &'static str,
    /// The file that tells how much of it is used.
    pub(super) usage: &'static str,
    /// The file that, set to 0 and back, has what CPUs hold in advance given back.
    pub(super) drain: Option<&'static str>,
}

const MEMORY: Limit =
    Limit { limit: "memory.max", usage: "memory.current", drain: Some("memory.high") };

pub(super) fn run(node: &mut Node) -> Result<()> {
    reach(node, "memory", &MEMORY)?;
    // Prepared while there is memory.
    let fragmented = [Side::Twin, Side::Positive].map(|side| Attempt::prepare(node, side, "both"));
    fragmenter::fragment(node.channel)?;
    let [twin, positive] = fragmented;
    fail(node, [twin?, positive?], &MEMORY, &[])
}

/// Has the twin's namespaces made with room, and the other's fail at the limit.
pub(super) fn reach(node: &mut Node, part: &'static str, limit: &Limit) -> Result<()> {
    let attempts = [Side::Twin, Side::Positive].map(|side| Attempt::prepare(node, side, part));
    let [twin, positive] = attempts;
    // ENODEV is what some subsystems make of the lack (net/core/fib_rules.c).
    fail(node, [twin?, positive?], limit, &[Errno::ENOMEM, Errno::ENODEV])
}

fn fail(
    node: &mut Node,
    [mut twin, mut positive]: [Attempt; 2],
    limit: &Limit,
    wanted: &[Errno],
) -> Result<()> {
    let step = Step::Unshare(CloneFlags::CLONE_NEWNET);
    twin.limit("memory", limit.limit, &(ENOUGH * 1024).to_string())?;
    twin.enter()?;
    for _ in 0..FAILURES {
        twin.take(node, &step)?.context("with room a network namespace must be made")?;
    }
    // On v1 a limit on kernel memory counts only what comes after it was first set.
    positive.limit("memory", limit.limit, &(ENOUGH * 1024).to_string())?;
    positive.enter()?;
    let (mut failures, mut seen) = (0, BTreeSet::new());
    for round in 0..ROUNDS {
        for room in ROOM.step_by(STEP).filter(|room| round == 0 || *room <= FIRST_SUBSYSTEMS) {
            if !node.watched()? {
                return Ok(());
            }
            if let Some(file) = limit.drain {
                positive.limit("memory", file, "0")?;
                positive.limit("memory", file, "max")?;
            }
            let bytes = positive.usage("memory", limit.usage)? + room * 1024;
            positive.limit("memory", limit.limit, &bytes.to_string())?;
            let Err(errno) = positive.quietly(&step)? else { continue };
            positive.tell(node, Err(errno));
            failures += 1;
            seen.insert(errno as i32);
            if failures >= FAILURES && wanted.iter().all(|errno| seen.contains(&(*errno as i32))) {
                return Ok(());
            }
        }
        // Something small, so that the next round's pages end within other objects. If there is no
        // room even for that, the round is as the last.
        let _ = positive.quietly(&Step::Unshare(CloneFlags::CLONE_NEWUTS))?;
    }
    if failures < FAILURES {
        bail!("{failures} network namespaces failed, whatever the limit");
    }
    node.channel.node(format!("errnos seen at all limits: {seen:?}, wanted {wanted:?}"));
    Ok(())
}
