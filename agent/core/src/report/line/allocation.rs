//! A page allocation in trouble, and the memory that it found.
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::allocation::Outcome;

/// A page allocation that failed or stalled.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Allocation {
    /// Its order: it asked for 2^order pages in one block.
    pub order: u32,
    /// That in bytes.
    pub bytes: Option<u64>,
    /// Its gfp mask.
    pub gfp: Gfp,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it waited in direct compaction and reclaim.
    pub stall_us: u64,
    /// The result of each direct compaction, in time order, such as `complete` or `deferred`
    /// (include/linux/compaction.h `enum compact_result`).
    pub compactions: Vec<String>,
    /// What direct reclaim freed for it.
    pub reclaimed_kib: u64,
    /// The function that asked for the memory.
    pub site: Option<String>,
    /// The module of that function; null if it is the kernel's own.
    pub module: Option<String>,
    /// The functions that called it, innermost first, from `site` to the creation's step.
    pub stack: Vec<String>,
    /// The zone that says most about the failure, as it was at that moment.
    pub zone: Option<Zone>,
    /// All zones that it could have used, as far as they were read.
    pub zones: Vec<Zone>,
    /// Whether `zones` has all of them.
    pub zones_complete: Option<bool>,
    /// The kernel's fragmentation index of `zone`, from 0 (lack of memory) to 1 (fragmentation);
    /// null where it says nothing.
    pub fragmentation_index: Option<f64>,
}

/// A gfp mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Gfp {
    /// The mask in hexadecimal, `0x40cc0`.
    pub raw: String,
    /// Its names, `GFP_KERNEL|__GFP_COMP`; null if this kernel's bits are not known.
    pub flags: Option<String>,
}

/// A zone of memory.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Zone {
    /// NUMA node.
    pub node: Option<u32>,
    /// Its name, `Normal`; empty if it could not be read.
    pub name: String,
    /// Free memory.
    pub free_kib: u64,
    /// Memory that the page allocator manages here.
    pub managed_kib: u64,
    /// What ordinary allocations have to leave free.
    pub min_watermark_kib: u64,
    /// What is kept, beyond that, for allocations that can use nothing but lower zones.
    pub lowmem_reserve_kib: u64,
    /// Free blocks per order, from order 0; null if they were not seen.
    pub free_blocks: Option<Vec<u64>>,
    /// The largest order of which a block is free.
    pub largest_order: Option<u32>,
}
