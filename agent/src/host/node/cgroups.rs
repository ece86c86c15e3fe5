//! The number of memory cgroups.
use std::path::Path;

use fragwatch_core::model::node::MemoryCgroups;

use crate::{host::node::text, kernel::environment};

/// Reads the number; `None` if no file has it. On v2 it is in the root's `cgroup.stat`: only memory
/// cgroups from 6.12 on (`nr_subsys_memory`), all cgroups before. On v1 it is `num_cgroups` of
/// /proc/cgroups, which includes dying cgroups until they are freed (kernel/cgroup/cgroup-v1.c
/// `proc_cgroupstats_show`, `nr_cgrps`). Before 5.17 reading that file takes the lock that creating a
/// cgroup takes too.
pub(super) fn read(root: &Path) -> Option<MemoryCgroups> {
    let mounts = text(root, "proc/self/mounts").unwrap_or_default();
    let stat = of_v2_root(root, &mounts).unwrap_or_default();
    if let Some(alive) = value(&stat, "nr_subsys_memory") {
        let dying = value(&stat, "nr_dying_subsys_memory");
        let count = alive.saturating_add(dying.unwrap_or_default());
        return Some(MemoryCgroups { count, dying, at_most: false });
    }
    match value(&stat, "nr_descendants") {
        Some(alive) if !environment::has_v1_memory(&mounts) => {
            let dying = value(&stat, "nr_dying_descendants");
            // The root itself is a memory cgroup, but not among its descendants.
            let count = alive.saturating_add(dying.unwrap_or_default()).saturating_add(1);
            Some(MemoryCgroups { count, dying, at_most: true })
        }
        _ => of_v1_hierarchy(&text(root, "proc/cgroups")?),
    }
}

/// The root's `cgroup.stat`; `None` inside a container, where the visible root is the container's own
/// cgroup.
fn of_v2_root(root: &Path, mounts: &str) -> Option<String> {
    let at = environment::mounted(mounts, "cgroup2")?;
    let at = at.strip_prefix("/").ok()?;
    // Every cgroup has this file except the hierarchy's root.
    if root.join(at).join("cgroup.events").exists() {
        return None;
    }
    text(root, at.join("cgroup.stat").to_str()?)
}

/// The number in a line `name number`.
fn value(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Parses the memory controller's line: name, hierarchy (0 is v2), number of cgroups, enabled.
fn of_v1_hierarchy(cgroups: &str) -> Option<MemoryCgroups> {
    let line = cgroups.lines().find(|line| line.starts_with("memory\t"))?;
    let mut fields = line.split('\t').skip(1).map_while(|field| field.parse::<u64>().ok());
    let (hierarchy, count, enabled) = (fields.next()?, fields.next()?, fields.next()?);
    (enabled == 1).then_some(MemoryCgroups { count, dying: None, at_most: hierarchy == 0 })
}
