//! How many memory cgroups there are.
use std::path::Path;

use fragwatch_core::model::node::MemoryCgroups;

use crate::{host::node::text, kernel::environment};

/// Counts them. In v2 they are in the root's `cgroup.stat`: memory cgroups alone from 6.12 on
/// (`nr_subsys_memory`), before that all cgroups. In v1 `num_cgroups` of /proc/cgroups has those of
/// the memory hierarchy until they are freed, the dying ones with them (kernel/cgroup/cgroup-v1.c
/// `proc_cgroupstats_show`, `nr_cgrps`); kernels before 5.17 take a lock for that which making a
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
            // The root is nobody's descendant.
            let count = alive.saturating_add(dying.unwrap_or_default()).saturating_add(1);
            Some(MemoryCgroups { count, dying, at_most: true })
        }
        _ => of_v1_hierarchy(&text(root, "proc/cgroups")?),
    }
}

/// The root's `cgroup.stat`.
fn of_v2_root(root: &Path, mounts: &str) -> Option<String> {
    let at = environment::mounted(mounts, "cgroup2")?;
    let at = at.strip_prefix("/").ok()?;
    // Only what is not the root has this file: in a container all that is seen is its own.
    if root.join(at).join("cgroup.events").exists() {
        return None;
    }
    text(root, at.join("cgroup.stat").to_str()?)
}

/// The number in a line `name number`.
fn value(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The line of the memory controller: name, hierarchy (0 is v2's), cgroups in it, whether enabled.
fn of_v1_hierarchy(cgroups: &str) -> Option<MemoryCgroups> {
    let line = cgroups.lines().find(|line| line.starts_with("memory\t"))?;
    let mut fields = line.split('\t').skip(1).map_while(|field| field.parse::<u64>().ok());
    let (hierarchy, count, enabled) = (fields.next()?, fields.next()?, fields.next()?);
    (enabled == 1).then_some(MemoryCgroups { count, dying: None, at_most: hierarchy == 0 })
}
