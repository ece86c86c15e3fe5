//! The node's own facts: what the kernel shows every user of its memory. They are read after a
//! failure, so they are no proof of what was there when it happened: no cause rests on them.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::zone::Zone;
use crate::units;

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
    /// Processes and threads.
    pub threads: Option<u64>,
    /// `kernel.threads-max`.
    pub threads_max: Option<u64>,
    /// `kernel.pid_max`.
    pub pid_max: Option<u64>,
}

/// Memory as a whole, in KiB.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// `MemTotal`.
    pub total_kib: Option<u64>,
    /// `MemFree`.
    pub free_kib: Option<u64>,
    /// `MemAvailable` (3.14 and later).
    pub available_kib: Option<u64>,
    /// `SReclaimable`.
    pub slab_reclaimable_kib: Option<u64>,
    /// `SUnreclaim`.
    pub slab_unreclaimable_kib: Option<u64>,
}

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
        units::memory_cgroups(self.count, self.at_most, self.dying, MAX_MEMORY_CGROUPS)
    }
}

/// A zone that has memory. Counts are pages of the kernel's page size.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeZone {
    /// NUMA node.
    pub node: u32,
    /// The zone's name.
    pub name: String,
    /// Free pages.
    pub free: u64,
    /// Of these, pages of CMA.
    pub free_cma: u64,
    /// Pages that the buddy allocator manages here.
    pub managed: u64,
    /// `min` watermark with its boost.
    pub min: u64,
    /// `low` watermark.
    pub low: u64,
    /// `high` watermark.
    pub high: u64,
    /// What it keeps from `GFP_KERNEL`, which may also use higher zones, up to Normal; `None` if
    /// `GFP_KERNEL` can't use this zone.
    pub lowmem_reserve: Option<u64>,
    /// Free blocks per order, from order 0; empty if they could not be read.
    pub blocks: Vec<u64>,
}

impl NodeZone {
    /// The zone as the page allocator looks at it for `GFP_KERNEL`; `None` if that can't use it.
    /// What only root may read is missing: how much is held back for high-order atomic allocations, and
    /// which blocks lie on lists of CMA or are isolated.
    pub fn for_kernel(&self, per_order_marks: bool) -> Option<Zone> {
        let has = |at: usize| u32::from(self.blocks.get(at).is_some_and(|count| *count != 0)) << at;
        Some(Zone {
            node: Some(self.node),
            name: self.name.clone(),
            free: self.free,
            free_cma: self.free_cma,
            managed: self.managed,
            min_watermark: self.min,
            high_watermark: Some(self.high),
            lowmem_reserve: self.lowmem_reserve?,
            reserved_highatomic: 0,
            blocks: self.blocks.clone(),
            usable_orders: (0..32).fold(0, |orders, at| orders | has(at)),
            per_order_marks,
            incomplete: false,
        })
    }
}

/// Facts older than this are not reported any more, in nanoseconds; and no reading begins sooner after
/// the one before it.
pub const MAX_AGE_NS: u64 = 1_000_000_000;

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

/// The node's memory as a whole, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// What the machine has.
    pub ram: Option<u64>,
    /// Free.
    pub free: Option<u64>,
    /// Slab that can be reclaimed.
    pub slab_reclaimable: Option<u64>,
    /// Slab that can't.
    pub slab_unreclaimable: Option<u64>,
    /// Swap.
    pub total_swap: Option<u64>,
    /// Free swap.
    pub free_swap: Option<u64>,
}

/// A zone of /proc/buddyinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buddyinfo {
    /// NUMA node.
    pub node: Option<u32>,
    /// The zone's name.
    pub name: String,
    /// Free blocks per order, from order 0.
    pub blocks: Vec<u64>,
}
