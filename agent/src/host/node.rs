//! The node's facts: memory statistics that every user may read. They are read after a failure, so
//! they don't prove the state at the failure, and no cause is derived from them.
mod cache;
mod cgroups;
mod facts_source;
mod meminfo;
mod slab;
mod thread;

use std::{fs, path::Path};

use fragwatch_core::model::node::{NodeFacts, NodeZone};
use fragwatch_states::zones;

use crate::host::clock;

pub use crate::host::node::{cache::Cache, facts_source::ReadFacts, thread::ReadingThread};

/// Reads the facts of the system whose root directory is `root`. Needs no privileges. A file that can't
/// be read leaves its facts out.
pub fn read(root: &Path) -> NodeFacts {
    let began = clock::monotonic_ns();
    let number = |path: &str| text(root, path)?.trim().parse().ok();
    let mut facts = NodeFacts {
        kernel: text(root, "proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        memory: text(root, "proc/meminfo").and_then(|text| meminfo::parse(&text)),
        zones: zones(root),
        memory_cgroups: cgroups::read(root),
        slab_caches: slab::count(root),
        zone_reclaim_mode: number("proc/sys/vm/zone_reclaim_mode"),
        threads: text(root, "proc/loadavg").and_then(|text| count_threads(&text)),
        threads_max: number("proc/sys/kernel/threads-max"),
        pid_max: number("proc/sys/kernel/pid_max"),
        time_ns: 0,
        took_ns: 0,
    };
    facts.time_ns = clock::monotonic_ns();
    facts.took_ns = facts.time_ns.saturating_sub(began);
    facts
}

/// Processes and threads, from /proc/loadavg: `0.00 0.01 0.05 1/123 4567`.
fn count_threads(loadavg: &str) -> Option<u64> {
    loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// All zones with memory, in the kernel's order.
fn zones(root: &Path) -> Vec<NodeZone> {
    let Some(zoneinfo) = text(root, "proc/zoneinfo") else { return Vec::new() };
    zones::parse(&zoneinfo, &text(root, "proc/buddyinfo").unwrap_or_default())
}

/// The content of a file; `None`, logged at level `debug`, if it can't be read.
fn text(root: &Path, path: &str) -> Option<String> {
    let path = root.join(path);
    match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            log::debug!("could not read {}: {error}; its facts are missing", path.display());
            None
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
