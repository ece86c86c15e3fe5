//! The node's memory, always with how far from the failure it was read.
use std::cmp::Reverse;

use super::{Block, allocation::free_blocks, kib, micros};
use crate::{
    report::line::node::{MemoryCgroups, Node, NodeZone},
    units::{self, printable},
};

/// Zones that are shown, those with most free memory.
const MAX_ZONES: usize = 2;

/// The node's memory; free blocks only `with_blocks`, where none of the moment itself were seen.
pub(super) fn row(block: &mut Block, node: &Node, with_blocks: bool) {
    let when = match (node.read_after_us, node.age_us) {
        (Some(after), _) => format!("{} later", micros(after)),
        (None, age) => format!("{} before", micros(age.unwrap_or_default())),
    };
    let mut facts = Vec::new();
    facts.extend(node.free_kib.map(|free| format!("{} free", kib(free))));
    facts.extend(node.available_kib.map(|available| format!("{} available", kib(available))));
    facts.extend(
        node.slab_unreclaimable_kib.map(|slab| format!("{} of unreclaimable slab", kib(slab))),
    );
    facts.extend(node.memory_cgroups.map(memory_cgroups));
    if !facts.is_empty() {
        block.row("node", &format!("{when}: {}", facts.join(", ")));
    }
    if !with_blocks {
        return;
    }
    let mut zones: Vec<&NodeZone> = node.zones.iter().filter(|z| z.free_blocks.is_some()).collect();
    zones.sort_by_key(|zone| Reverse(zone.free_kib));
    for zone in zones.into_iter().take(MAX_ZONES) {
        let blocks = zone.free_blocks.as_deref().map(free_blocks).unwrap_or_default();
        let name = printable(&zone.name);
        let free = kib(zone.free_kib);
        block.row("", &format!("{when}: zone {name} of node {}: {free} free; {blocks}", zone.node));
    }
}

fn memory_cgroups(cgroups: MemoryCgroups) -> String {
    units::memory_cgroups(cgroups.count, cgroups.at_most, cgroups.dying, cgroups.max)
}
