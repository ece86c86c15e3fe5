//! Creations that nearly fail: a cgroup is made in a full pod once the kernel has given back what the pod can do
//! without, and a network namespace gets its block only after direct compaction. The controls are made where
//! there is room.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use harness::judge::cause::NEAR_MISS;
use nix::sched::CloneFlags;

use super::Node;
use crate::attempt::{self, Attempt, Side};
use crate::creator::Step;
use crate::{node, state};

/// How far above what it uses the control's limit is, in bytes.
const ROOM: u64 = 8 * 1024 * 1024;
/// What a CPU holds in advance may be enough, or nothing that can be given back.
const TRIES: u32 = 20;

pub(super) fn run(node: &mut Node) -> Result<()> {
    in_pod(node)?;
    by_compaction(node)
}

/// What the pod can do without are the names and inodes of sysfs that were looked up in it.
fn in_pod(node: &Node) -> Result<()> {
    let found = Path::new("/sys/devices").exists() && Path::new("/sys/kernel").exists();
    ensure!(found, "there is no sysfs to look up");
    let (first, mut control) = fill(node, Side::Control, "/sys/devices")?;
    first.limit("memory", "memory.max", "memory.current", ROOM)?;
    control.make_cgroup(node)?.context("with room a cgroup must be made")?;
    let (first, mut faulty) = fill(node, Side::Faulty, "/sys/kernel")?;
    for _ in 0..TRIES {
        first.limit("memory", "memory.max", "memory.current", 0)?;
        let refused = first.events("memory.events", "max")?;
        let outcome = faulty.make_cgroup_quietly()?;
        let waited = first.events("memory.events", "max")? > refused;
        if outcome.is_ok() && waited {
            attempt::report(node.channel, Side::Faulty, "memcg", &faulty.cgroup(), Some(NEAR_MISS));
            return Ok(());
        }
        node.channel
            .node(format!("the full pod's limit was hit: {waited}, and it came to {outcome:?}"));
    }
    bail!("none of {TRIES} cgroups was made after the full pod had made room")
}

/// Has a container look up all names below a directory. Returns it, and the process that will make the next one
/// from outside.
fn fill(node: &Node, side: Side, directory: &str) -> Result<(Attempt, Attempt)> {
    let mut first = Attempt::prepare(node, side, "memcg")?;
    let next = Attempt::prepare(node, side, "memcg")?;
    first.enter()?;
    first.quietly(&Step::LookUp(directory))?.context("sysfs must be readable")?;
    Ok((first, next))
}

/// The pages between the free ones may be moved here. Where compaction has failed before, the kernel may put it
/// off.
fn by_compaction(node: &mut Node) -> Result<()> {
    node::load_module("fragwatch_pernet", c"order=9")?;
    let step = Step::Unshare(CloneFlags::CLONE_NEWNET);
    let mut control = Attempt::prepare(node, Side::Control, "compaction")?;
    let mut attempts = Vec::new();
    for _ in 0..TRIES {
        attempts.push(Attempt::prepare(node, Side::Faulty, "compaction")?);
    }
    control.enter()?;
    control.take(node, &step)?.context("on a healthy node a network namespace must be made")?;
    node.states.push(state::fragment(node.channel, 9, 0)?);
    node::set("vm/compact_unevictable_allowed", "1")?;
    for mut faulty in attempts {
        faulty.enter()?;
        let outcome = faulty.quietly(&step)?;
        if outcome.is_ok() {
            let cgroup = faulty.cgroup();
            attempt::report(node.channel, Side::Faulty, "compaction", &cgroup, Some(NEAR_MISS));
            return Ok(());
        }
        node.channel.node(format!("compaction made no room: {outcome:?}"));
    }
    bail!("compaction made no room for any of {TRIES} network namespaces")
}
