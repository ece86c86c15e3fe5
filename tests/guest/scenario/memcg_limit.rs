//! A pod is at its memory limit, and network namespaces can't be made in it, though the node has
//! memory in plenty; then the same on a node that is fragmented too. The controls' pod has room.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::creator::Step;
use crate::state;

/// How far above what the pod uses its limit is if that is to be enough, in KiB.
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
    /// The file with its usage.
    pub(super) usage: &'static str,
    /// The file that, set to 0 and back, has what CPUs hold in advance given back.
    pub(super) drain: Option<&'static str>,
}

/// v2's limit.
pub(super) const MEMORY: Limit =
    Limit { most: "memory.max", usage: "memory.current", drain: Some("memory.high") };

impl Limit {
    /// Sets the limit of an attempt's pod to so many bytes above what that uses.
    pub(super) fn set(&self, attempt: &Attempt, room: u64) -> Result<()> {
        if let Some(file) = self.drain {
            attempt.set("memory", file, "0")?;
            attempt.set("memory", file, "max")?;
        }
        attempt.limit("memory", self.most, self.usage, room)
    }
}

pub(super) fn run(node: &mut Node) -> Result<()> {
    // ENODEV is what a subsystem makes of it (lib/kobject_uevent.c `uevent_net_init`).
    reach(node, "memory", &MEMORY, &[Errno::ENOMEM, Errno::ENODEV])?;
    // Prepared while there is memory.
    let fragmented = [Side::Control, Side::Faulty].map(|side| Attempt::prepare(node, side, "both"));
    node.states.push(state::fragment(node.channel, 6, 0)?);
    let [control, faulty] = fragmented;
    fail(node, [control?, faulty?], &MEMORY, &[])
}

/// Has the control's namespaces made with room, and the other's fail at the limit, with each of the
/// errnos that are wanted if that can be had.
pub(super) fn reach(
    node: &mut Node,
    part: &'static str,
    limit: &Limit,
    wanted: &[Errno],
) -> Result<()> {
    let attempts = [Side::Control, Side::Faulty].map(|side| Attempt::prepare(node, side, part));
    let [control, faulty] = attempts;
    fail(node, [control?, faulty?], limit, wanted)
}

fn fail(
    node: &mut Node,
    [mut control, mut faulty]: [Attempt; 2],
    limit: &Limit,
    wanted: &[Errno],
) -> Result<()> {
    let step = Step::Unshare(CloneFlags::CLONE_NEWNET);
    control.limit("memory", limit.most, limit.usage, ENOUGH * 1024)?;
    control.enter()?;
    for _ in 0..FAILURES {
        control.take(node, &step)?.context("with room a network namespace must be made")?;
    }
    // On v1 a limit on kernel memory counts only what comes after it was first set.
    faulty.limit("memory", limit.most, limit.usage, ENOUGH * 1024)?;
    faulty.enter()?;
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
            faulty.limit("memory", limit.most, limit.usage, ENOUGH * 1024)?;
            faulty.quietly(&Step::OpenFile)?.context("can't open a file")?;
        }
        limit.set(&faulty, room * 1024)?;
        let Err(errno) = faulty.quietly(&step)? else { continue };
        faulty.report(node, Err(errno));
        failures += 1;
        seen.insert(errno as i32);
    }
    if failures < FAILURES {
        bail!("{failures} network namespaces failed, at any limit");
    }
    node.channel.node(format!("errnos seen at all limits: {seen:?}, wanted {wanted:?}"));
    Ok(())
}

/// Which room is tried in which round.
fn rounds() -> impl Iterator<Item = (usize, u64)> {
    let first = ROOM.into_iter().map(|room| (0, room));
    first.chain((1..=ROUNDS).flat_map(|round| LITTLE.into_iter().map(move |room| (round, room))))
}
