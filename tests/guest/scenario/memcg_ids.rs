//! All ids of memory cgroups are in use, and a container's cgroup can't be made. The control comes when
//! nearly all are.

use std::fs;

use anyhow::{Context, Result, bail};
use harness::job::Cgroups;

use super::Node;
use crate::attempt::{Attempt, Side};
use crate::node;

/// There are never more ids than that (mm/memcontrol.c `MEM_CGROUP_ID_MAX`).
const IDS: u32 = 65_535;
/// How many there are when the control is made.
const NEARLY_ALL: u32 = 65_400;
const ATTEMPTS: u32 = 3;
/// So many between two lines of progress.
const MANY: u32 = 4096;

pub(super) fn run(node: &mut Node) -> Result<()> {
    let mut faulty = Attempt::prepare(node, Side::Faulty, "mkdir")?;
    let mut control = Attempt::prepare(node, Side::Control, "mkdir")?;
    let others = Others::prepare(node)?;
    for number in 0..NEARLY_ALL {
        if !node.watched()? {
            return Ok(());
        }
        if number % MANY == 0 {
            let free = node::meminfo_kib("MemFree")? / 1024;
            node.channel.node(format!("{number} memory cgroups made, {free} MiB free"));
        }
        others.make(number)?;
    }
    for _ in 0..ATTEMPTS {
        control.make_cgroup(node)?.context("with ids left the cgroup must be made")?;
    }
    let last = (NEARLY_ALL..IDS).find_map(|number| others.make(number).err());
    let last = last.context("more memory cgroups were made than there are ids")?;
    node.channel.node(format!("no more memory cgroups: {last:#}"));
    for _ in 0..ATTEMPTS {
        if faulty.make_cgroup(node)?.is_ok() {
            bail!("a memory cgroup was made though no id is left");
        }
    }
    Ok(())
}

/// Memory cgroups of other workloads.
struct Others {
    directory: String,
}

impl Others {
    fn prepare(node: &Node) -> Result<Self> {
        let directory = format!("{}/others", node::cgroup_root(node.cgroups, "memory"));
        fs::create_dir(&directory).with_context(|| format!("can't make {directory}"))?;
        if node.cgroups == Cgroups::V2 {
            let file = format!("{directory}/cgroup.subtree_control");
            fs::write(&file, "+memory").with_context(|| format!("can't write to {file}"))?;
        }
        Ok(Self { directory })
    }

    fn make(&self, number: u32) -> Result<()> {
        let directory = format!("{}/{number}", self.directory);
        fs::create_dir(&directory).with_context(|| format!("can't make {directory}"))
    }
}
