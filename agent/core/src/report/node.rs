//! The node's facts beside a report, always with how far from it they were read.
use serde_json::{Value, json};

use crate::{
    model::node::{MAX_MEMORY_CGROUPS, MemoryCgroups, NodeZone, Reading},
    report::text::labelled,
    units::{bytes, printable},
};

/// Zones that are shown to people, those with most free memory.
const MAX_ZONES: usize = 4;

/// For programs. `read_after_us` is null where the facts were read before, then `age_us` says how
/// long before.
pub(super) fn json(reading: Reading, page_size: u64) -> Value {
    let facts = reading.facts;
    let memory = facts.memory.unwrap_or_default();
    let read_after = if reading.age_ns().is_some() { None } else { reading.after_ns() };
    json!({
        "read_after_us": read_after.map(|ns| ns / 1000),
        "age_us": reading.age_ns().map(|ns| ns / 1000),
        "took_us": facts.took_ns / 1000,
        "kernel": facts.kernel,
        "total_kib": memory.total_kib,
        "free_kib": memory.free_kib,
        "available_kib": memory.available_kib,
        "slab_reclaimable_kib": memory.slab_reclaimable_kib,
        "slab_unreclaimable_kib": memory.slab_unreclaimable_kib,
        "slab_caches": facts.slab_caches,
        "zone_reclaim_mode": facts.zone_reclaim_mode,
        "memory_cgroups": facts.memory_cgroups.map(|cgroups| json!({
            "count": cgroups.count,
            "at_most": cgroups.at_most,
            "dying": cgroups.dying,
            "max": MAX_MEMORY_CGROUPS,
        })),
        "zones": facts.zones.iter().map(|zone| zone_json(zone, page_size)).collect::<Vec<_>>(),
    })
}

fn zone_json(zone: &NodeZone, page_size: u64) -> Value {
    let kib = |pages: u64| pages.saturating_mul(page_size) / 1024;
    json!({
        "node": zone.node,
        "name": zone.name,
        "free_kib": kib(zone.free),
        "managed_kib": kib(zone.managed),
        "min_watermark_kib": kib(zone.min),
        "low_watermark_kib": kib(zone.low),
        "high_watermark_kib": kib(zone.high),
        "free_blocks": (!zone.blocks.is_empty()).then_some(&zone.blocks),
    })
}

/// For people, in one or two lines.
pub(super) fn text(reading: Reading, page_size: u64) -> Vec<String> {
    let facts = reading.facts;
    let mut said = Vec::new();
    if let Some(memory) = facts.memory {
        let kib = |kib: u64| bytes(kib.saturating_mul(1024));
        if let Some(free) = memory.free_kib {
            said.push(format!("{} free", kib(free)));
        }
        if let Some(available) = memory.available_kib {
            said.push(format!("{} available", kib(available)));
        }
        if let Some(slab) = memory.slab_unreclaimable_kib {
            said.push(format!("{} of slab can't be reclaimed", kib(slab)));
        }
    }
    said.extend(facts.memory_cgroups.map(MemoryCgroups::describe));
    let mut zones: Vec<&NodeZone> = facts.zones.iter().filter(|z| !z.blocks.is_empty()).collect();
    zones.sort_by_key(|zone| std::cmp::Reverse(zone.free));
    let mut lines = Vec::new();
    if !said.is_empty() {
        lines.push(labelled("node", &format!("{}: {}", reading.when(), said.join(", "))));
    }
    if !zones.is_empty() {
        let shown: Vec<String> =
            zones.iter().take(MAX_ZONES).map(|zone| blocks(zone, page_size)).collect();
        let label = if lines.is_empty() { "node" } else { "" };
        lines.push(labelled(label, &format!("free {}: {}", reading.when(), shown.join("; "))));
    }
    lines
}

/// A zone's free memory by the size of its blocks.
fn blocks(zone: &NodeZone, page_size: u64) -> String {
    let counts = zone.blocks.iter().enumerate().filter(|&(_, &n)| n != 0);
    let text: Vec<String> = counts.map(|(order, n)| format!("{n} of order {order}")).collect();
    let what = if text.is_empty() { "no block".to_owned() } else { text.join(", ") };
    let free = bytes(zone.free.saturating_mul(page_size));
    format!("{} of node {}: {free}, {what}", printable(&zone.name), zone.node)
}
