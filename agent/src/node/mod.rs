//! The node's own facts: what the kernel tells everybody about its memory. They are read after a
//! failure, so they are no proof of what was there when it happened: no cause rests on them.
mod cache;
mod cgroups;
mod meminfo;
mod slab;
mod thread;
mod zones;

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use self::{
    cache::{Cache, MAX_AGE_NS, Reads},
    cgroups::{MAX_MEMORY_CGROUPS, MemoryCgroups},
    meminfo::Memory,
    thread::ReadingThread,
    zones::NodeZone,
};
use crate::{clock, units};

/// What was read at one moment. What could not be read is not there.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeFacts {
    /// When the reading was done, `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// Memory as a whole.
    pub memory: Option<Memory>,
    /// Every zone that has memory.
    pub zones: Vec<NodeZone>,
    /// Memory cgroups.
    pub memory_cgroups: Option<MemoryCgroups>,
    /// Slab caches that there are, without those that were merged into others.
    pub slab_caches: Option<u64>,
    /// `vm.zone_reclaim_mode`.
    pub zone_reclaim_mode: Option<u64>,
}

impl NodeFacts {
    /// Reads those of the system whose root directory is `root`. Nothing in it needs a right.
    pub fn read(root: &Path) -> Self {
        let began = clock::monotonic_ns();
        let number = |path: &str| text(root, path)?.trim().parse().ok();
        let mut facts = Self {
            kernel: text(root, "proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            memory: text(root, "proc/meminfo").and_then(|text| Memory::parse(&text)),
            zones: zones::read(root),
            memory_cgroups: cgroups::read(root),
            slab_caches: slab::count(root),
            zone_reclaim_mode: number("proc/sys/vm/zone_reclaim_mode"),
            time_ns: 0,
            took_ns: 0,
        };
        facts.time_ns = clock::monotonic_ns();
        facts.took_ns = facts.time_ns.saturating_sub(began);
        facts
    }
}

/// The content of a file of the kernel's.
fn text(root: &Path, path: &str) -> Option<String> {
    let path = root.join(path);
    match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            log::debug!("could not read {}: {error}; it is left out", path.display());
            None
        }
    }
}

/// Facts as they stand beside something that happened.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The facts.
    pub facts: &'a NodeFacts,
    /// When it happened, `CLOCK_MONOTONIC` in nanoseconds.
    pub of_ns: u64,
}

impl<'a> Reading<'a> {
    /// Facts for what happened at `of_ns`; `None` if they were too old by then.
    pub fn of(facts: &'a NodeFacts, of_ns: u64) -> Option<Self> {
        (of_ns.saturating_sub(facts.time_ns) <= MAX_AGE_NS).then_some(Self { facts, of_ns })
    }

    /// How long after it they were read, in nanoseconds; `None` if it was before.
    pub fn after_ns(&self) -> Option<u64> {
        self.facts.time_ns.checked_sub(self.of_ns)
    }

    /// How long before it they were read, in nanoseconds; `None` if it was not before.
    pub fn age_ns(&self) -> Option<u64> {
        self.of_ns.checked_sub(self.facts.time_ns).filter(|age| *age != 0)
    }

    /// When they were read, in words.
    pub fn when(&self) -> String {
        match (self.after_ns(), self.age_ns()) {
            (_, Some(age)) => format!("{} before it", units::duration(age)),
            (after, None) => format!("{} later", units::duration(after.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
