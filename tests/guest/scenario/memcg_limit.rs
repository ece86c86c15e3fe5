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
/// How far above what the pod uses its limit is, in KiB. Each lets a namespace get another part of
/// what it needs.
const ROOM: [u64; 8] = [8, 16, 32, 48, 72, 96, 128, 160];
/// So little that it fails among the first subsystems.
const LITTLE: [u64; 2] = [8, 12];
const ROUNDS: usize = 16;
/// Network namespaces that fail on each node.
const FAILURES: usize = 3;

/// A limit of a pod.
pub(super) struct Limit {
    /// The file that sets it.
    pub(super) most: &'static str,
    /// The file that tells how much of it is used.
    pub(super) usage: &'static str,
    /// The file that, set to 0 and back, has what CPUs hold in advance given back.
    pub(super) drain: Option<&'static str>,
}

const MEMORY: Limit =
    Limit { most: "memory.max", usage: "memory.current", drain: Some("memory.high") };

pub(super) fn run(node: &mut Node) -> Result<()> {
    // ENODEV is what a subsystem makes of it (lib/kobject_uevent.c `uevent_net_init`).
    reach(node, "memory", &MEMORY, &[Errno::ENOMEM, Errno::ENODEV])?;
    // Prepared while there is memory.
    let fragmented = [Side::Twin, Side::Positive].map(|side| Attempt::prepare(node, side, "both"));
    fragmenter::fragment(node.channel)?;
    let [twin, positive] = fragmented;
    fail(node, [twin?, positive?], &MEMORY, &[])
}

/// Has the twin's namespaces made with room, and the other's fail at the limit, with each of the
/// errnos that are wanted if that can be had.
pub(super) fn reach(
    node: &mut Node,
    part: &'static str,
    limit: &Limit,
    wanted: &[Errno],
) -> Result<()> {
    let attempts = [Side::Twin, Side::Positive].map(|side| Attempt::prepare(node, side, part));
    let [twin, positive] = attempts;
    fail(node, [twin?, positive?], limit, wanted)
}

fn fail(
    node: &mut Node,
    [mut twin, mut positive]: [Attempt; 2],
    limit: &Limit,
    wanted: &[Errno],
) -> Result<()> {
    let step = Step::Unshare(CloneFlags::CLONE_NEWNET);
    twin.limit("memory", limit.most, &(ENOUGH * 1024).to_string())?;
    twin.enter()?;
    for _ in 0..FAILURES {
        twin.take(node, &step)?.context("with room a network namespace must be made")?;
    }
    // On v1 a limit on kernel memory counts only what comes after it was first set.
    positive.limit("memory", limit.most, &(ENOUGH * 1024).to_string())?;
    positive.enter()?;
    let (mut failures, mut seen) = (0, BTreeSet::new());
    for (round, room) in rounds() {
        if failures >= FAILURES && wanted.iter().all(|errno| seen.contains(&(*errno as i32))) {
            return Ok(());
        }
        if !node.watched()? {
            return Ok(());
        }
        if round > 0 {
            // Something small that is kept, so that pages end within other objects than before.
            positive.limit("memory", limit.most, &(ENOUGH * 1024).to_string())?;
            positive.quietly(&Step::OpenFile)?.context("can't open a file")?;
        }
        if let Some(file) = limit.drain {
            positive.limit("memory", file, "0")?;
            positive.limit("memory", file, "max")?;
        }
        let bytes = positive.usage("memory", limit.usage)? + room * 1024;
        positive.limit("memory", limit.most, &bytes.to_string())?;
        let Err(errno) = positive.quietly(&step)? else { continue };
        positive.tell(node, Err(errno));
        failures += 1;
        seen.insert(errno as i32);
    }
    if failures < FAILURES {
        bail!("{failures} network namespaces failed, whatever the limit");
    }
    node.channel.node(format!("errnos seen at all limits: {seen:?}, wanted {wanted:?}"));
    Ok(())
}

/// Which room is tried in which round.
fn rounds() -> impl Iterator<Item = (usize, u64)> {
    let first = ROOM.into_iter().map(|room| (0, room));
    first.chain((1..=ROUNDS).flat_map(|round| LITTLE.into_iter().map(move |room| (round, room))))
}
