//! How many memory cgroups there are.
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::text;
use crate::{kernel::environment, units::grouped};

/// Ids for memory cgroups end here (mm/memcontrol.c `MEM_CGROUP_ID_MAX`), up to 7.2; the root has
/// one too.
pub const MAX_MEMORY_CGROUPS: u64 = 65_535;

/// Memory cgroups. One that was removed is dying until the last memory charged to it is gone. Before
/// Linux 4.8 it holds its id until then; from 4.8 on it gives it back at once, unless memory of it
/// lies in swap.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryCgroups {
    /// All of them, dying ones included.
    pub count: u64,
    /// Dying ones, where the kernel counts them apart.
    pub dying: Option<u64>,
    /// There may be fewer: cgroups without the memory controller are counted too.
    #[serde(default)]
    pub at_most: bool,
}

impl MemoryCgroups {
    /// Those that hold an id for certain, at least if the count is one of memory cgroups alone.
    pub fn alive(&self) -> u64 {
        self.count.saturating_sub(self.dying.unwrap_or_default())
    }

    /// In words, against the number of ids.
    pub fn describe(self) -> String {
        let at_most = if self.at_most { "at most " } else { "" };
        let dying = self.dying.filter(|dying| *dying != 0);
        let dying = dying.map(|dying| format!(" ({} dying)", grouped(dying))).unwrap_or_default();
        let (count, max) = (grouped(self.count), grouped(MAX_MEMORY_CGROUPS));
        format!("{at_most}{count} of {max} memory cgroups{dying}")
    }
}

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
