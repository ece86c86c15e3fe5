//! What was reached.
use serde::{Deserialize, Serialize};

/// The state that a machine is in, measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// That in sentences.
    pub sentences: Vec<String>,
    /// The order that can't be had, if that is the state.
    pub order: Option<u32>,
    /// The zones, for states of the memory.
    pub zones: Vec<ZoneReached>,
    /// Free blocks per order as they were wanted, from order 0; empty if any would do.
    pub wanted: Vec<u64>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Reached {
    /// The kernel's fragmentation index of the zone that has most free of those with the pages but not the block:
    /// one that is exhausted may have blocks, below its watermark.
    pub fn fragmentation_index(&self) -> Option<f64> {
        let fragmented = self.zones.iter().filter(|zone| zone.offer != "exhausted");
        fragmented.max_by_key(|zone| zone.free_kib)?.index
    }
}

/// What a zone has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZoneReached {
    /// NUMA node.
    pub node: u32,
    /// Its name.
    pub name: String,
    /// Free memory, in KiB.
    pub free_kib: u64,
    /// Free blocks per order that ordinary allocations of the kernel may take, from order 0.
    pub blocks: Vec<u64>,
    /// The kernel's fragmentation index for the order, where it says something.
    pub index: Option<f64>,
    /// Whether the zone has a block of the order for them, else why not.
    pub offer: String,
}
