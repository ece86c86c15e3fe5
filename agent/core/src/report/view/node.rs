//! The node's memory.
use crate::{
    model::node::{self, MAX_MEMORY_CGROUPS, Reading},
    report::line::node::{MemoryCgroups, Node, NodeZone},
};

/// The node's memory on a kernel with this page size, in bytes.
pub(super) fn node(reading: Reading, page_size: u64) -> Node {
    let facts = reading.facts;
    let memory = facts.memory.unwrap_or_default();
    let age_us = reading.age_ns().map(|ns| ns / 1000);
    let after_us = reading.after_ns().map(|ns| ns / 1000);
    Node {
        read_after_us: after_us.filter(|_| age_us.is_none()),
        age_us,
        took_us: facts.took_ns / 1000,
        kernel: facts.kernel.clone(),
        total_kib: memory.total_kib,
        free_kib: memory.free_kib,
        available_kib: memory.available_kib,
        slab_reclaimable_kib: memory.slab_reclaimable_kib,
        slab_unreclaimable_kib: memory.slab_unreclaimable_kib,
        slab_caches: facts.slab_caches,
        zone_reclaim_mode: facts.zone_reclaim_mode,
        memory_cgroups: facts.memory_cgroups.map(|cgroups| MemoryCgroups {
            count: cgroups.count,
            at_most: cgroups.at_most,
            dying: cgroups.dying,
            max: MAX_MEMORY_CGROUPS,
        }),
        zones: facts.zones.iter().map(|z| zone(z, page_size)).collect(),
    }
}

fn zone(zone: &node::NodeZone, page_size: u64) -> NodeZone {
    let kib = |pages: u64| pages.saturating_mul(page_size) / 1024;
    NodeZone {
        node: zone.node,
        name: zone.name.clone(),
        free_kib: kib(zone.free),
        managed_kib: kib(zone.managed),
        min_watermark_kib: kib(zone.min),
        low_watermark_kib: kib(zone.low),
        high_watermark_kib: kib(zone.high),
        free_blocks: (!zone.blocks.is_empty()).then(|| zone.blocks.clone()),
    }
}
