//! The node's memory, read beside a failure.
use schemars::JsonSchema;
use serde::Serialize;

/// The node's memory as `/proc` shows it, read at another time than that of the failure: no proof.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Node {
    /// How long after the failure it was read; null if that was before.
    pub read_after_us: Option<u64>,
    /// How long before the failure it was read; null if that was after.
    pub age_us: Option<u64>,
    /// How long reading took.
    pub took_us: u64,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// `MemTotal`.
    pub total_kib: Option<u64>,
    /// `MemFree`.
    pub free_kib: Option<u64>,
    /// `MemAvailable`.
    pub available_kib: Option<u64>,
    /// `SReclaimable`.
    pub slab_reclaimable_kib: Option<u64>,
    /// `SUnreclaim`.
    pub slab_unreclaimable_kib: Option<u64>,
    /// Slab caches, without those that were merged into others.
    pub slab_caches: Option<u64>,
    /// `vm.zone_reclaim_mode`.
    pub zone_reclaim_mode: Option<u64>,
    /// Memory cgroups.
    pub memory_cgroups: Option<MemoryCgroups>,
    /// Every zone that has memory.
    pub zones: Vec<NodeZone>,
}

/// Memory cgroups, and how many there can be.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct MemoryCgroups {
    /// All of them, dying ones included.
    pub count: u64,
    /// There may be fewer: cgroups without the memory controller are counted too.
    pub at_most: bool,
    /// Dying ones: removed, with memory that is still charged to them.
    pub dying: Option<u64>,
    /// How many ids there are.
    pub max: u64,
}

/// A zone of the node's memory.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NodeZone {
    /// NUMA node.
    pub node: u32,
    /// Its name, `Normal`.
    pub name: String,
    /// Free memory.
    pub free_kib: u64,
    /// Memory that the page allocator manages here.
    pub managed_kib: u64,
    /// The `min` watermark.
    pub min_watermark_kib: u64,
    /// The `low` watermark.
    pub low_watermark_kib: u64,
    /// The `high` watermark.
    pub high_watermark_kib: u64,
    /// Free blocks per order, from order 0; null if they could not be read.
    pub free_blocks: Option<Vec<u64>>,
}
