//! All ids of memory cgroups are in use, and a container's cgroup can't be made. The twin comes when
//! some are left again.

use std::fs;

use anyhow::{Context, Result, bail};

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::node;

/// There are never more than so many (mm/memcontrol.c `MEM_CGROUP_ID_MAX`).
const IDS: u32 = 65_535;
const ATTEMPTS: u32 = 3;
/// Cgroups that go before the twin comes.
const GO: u32 = 16;

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut positive = Attempt::prepare(node, Side::Positive, "mkdir")?;
    let mut twin = Attempt::prepare(node, Side::Twin, "mkdir")?;
    let root = format!("{}/others", node::cgroup_root(node.cgroups, "memory"));
    fs::create_dir(&root).with_context(|| format!("can't make {root}"))?;
    if node.cgroups == node::Cgroups::V2 {
        let file = format!("{root}/cgroup.subtree_control");
        fs::write(&file, "+memory").with_context(|| format!("can't write to {file}"))?;
    }
    let made = fill(node, &root)?;
    for _ in 0..ATTEMPTS {
        if positive.make_cgroup(node)?.is_ok() {
            bail!("a memory cgroup was made though no id is left");
        }
    }
    for number in made - GO..made {
        let directory = format!("{root}/{number}");
        fs::remove_dir(&directory).with_context(|| format!("can't remove {directory}"))?;
    }
    for _ in 0..ATTEMPTS {
        twin.make_cgroup(node)?.context("with an id left the cgroup must be made")?;
    }
    Ok(())
}

/// Makes cgroups until there are no more, and says how many that was.
fn fill(node: &mut Node, root: &str) -> Result<u32> {
    for number in 0..IDS {
        if number % 4096 == 0 {
            let free = node::meminfo_kib("MemFree")? / 1024;
            node.channel.node(format!("{number} memory cgroups made, {free} MiB free"));
            if !node.watched()? {
                bail!("nobody watches any more");
            }
        }
        if let Err(error) = fs::create_dir(format!("{root}/{number}")) {
            node.channel.node(format!("after {number} memory cgroups: {error}"));
            return Ok(number);
        }
    }
    bail!("{IDS} memory cgroups were made, and the kernel has no id for so many")
}
