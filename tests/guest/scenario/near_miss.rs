//! Creations that nearly fail: a network namespace gets its block only after direct compaction, and a cgroup is
//! made in a full pod once the kernel has given back what the pod can do without. The controls are made where
//! there is room.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use harness::judge::cause::NEAR_MISS;
use nix::sched::CloneFlags;

use super::Node;
use super::memcg_limit::MEMORY;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;
use crate::{fragmenter, node};

/// How far above what it uses the control's limit is, in bytes.
const ROOM: u64 = 8 * 1024 * 1024;

pub(super) fn run(node: &mut Node) -> Result<()> {
    in_pod(node)?;
    by_compaction(node)
}

/// What the pod can do without are the names and inodes of sysfs that were looked up in it.
fn in_pod(node: &Node) -> Result<()> {
    let found = Path::new("/sys/devices").exists() && Path::new("/sys/kernel").exists();
    ensure!(found, "there is no sysfs to look up");
    for (side, room, directory) in
        [(Side::Control, ROOM, "/sys/devices"), (Side::Faulty, 0, "/sys/kernel")]
    {
        let mut first = Attempt::prepare(node, side, "memcg")?;
        let mut next = Attempt::prepare(node, side, "memcg")?;
        first.enter()?;
        first.quietly(&Step::LookUp(directory))?.context("sysfs must be readable")?;
        MEMORY.set(&first, room)?;
        let outcome = next.make_cgroup_quietly()?;
        outcome.context("the kernel must find room for a cgroup")?;
        let met = (side == Side::Faulty).then_some(NEAR_MISS);
        attempt::report(node.channel, side, "memcg", &next.cgroup(), met);
    }
    Ok(())
}

/// The fragmenter's pages may be moved here.
fn by_compaction(node: &mut Node) -> Result<()> {
    node::load_module("fragwatch_pernet", c"order=9")?;
    let step = Step::Unshare(CloneFlags::CLONE_NEWNET);
    let mut control = Attempt::prepare(node, Side::Control, "compaction")?;
    let mut faulty = Attempt::prepare(node, Side::Faulty, "compaction")?;
    control.enter()?;
    faulty.enter()?;
    control.take(node, &step)?.context("on a healthy node a network namespace must be made")?;
    fragmenter::fragment(node.channel)?;
    node::set("vm/compact_unevictable_allowed", "1")?;
    faulty.quietly(&step)?.context("compaction must find room for a network namespace")?;
    attempt::report(node.channel, Side::Faulty, "compaction", &faulty.cgroup(), Some(NEAR_MISS));
    Ok(())
}
