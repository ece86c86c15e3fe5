//! Zones, from /proc/zoneinfo and /proc/buddyinfo (mm/vmstat.c). The two are not of one moment.
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::text;
use crate::kernel::zone::Zone;

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

/// Reads all that have memory, in the order in which the kernel prints them.
pub(super) fn read(root: &Path) -> Vec<NodeZone> {
    let Some(zoneinfo) = text(root, "proc/zoneinfo") else { return Vec::new() };
    let mut zones = parse_zoneinfo(&zoneinfo);
    if let Some(buddyinfo) = text(root, "proc/buddyinfo") {
        add_blocks(&mut zones, &buddyinfo);
    }
    zones
}

/// The highest zone that `GFP_KERNEL` may use.
const KERNELS_ZONE: &str = "Normal";

/// One pass over it: on a machine with many CPUs nearly all of it is about their page lists.
fn parse_zoneinfo(text: &str) -> Vec<NodeZone> {
    let mut zones: Vec<NodeZone> = Vec::new();
    let mut protections: Vec<Vec<u64>> = Vec::new();
    for line in text.lines() {
        if let Some((node, name)) = heading(line) {
            zones.push(NodeZone { node, name: name.to_owned(), ..NodeZone::default() });
            protections.push(Vec::new());
            continue;
        }
        let (Some(zone), Some(protection)) = (zones.last_mut(), protections.last_mut()) else {
            continue;
        };
        let mut words = line.split_ascii_whitespace();
        let field = match words.next() {
            Some("pages") if words.next() == Some("free") => &mut zone.free,
            Some("min") => &mut zone.min,
            Some("low") => &mut zone.low,
            Some("high") => &mut zone.high,
            Some("managed") => &mut zone.managed,
            Some("nr_free_cma") => &mut zone.free_cma,
            Some("protection:") => {
                let numbers = words.map(|word| word.trim_matches(['(', ',', ')']).parse());
                *protection = numbers.map_while(Result::ok).collect();
                continue;
            }
            _ => continue,
        };
        if let Some(number) = words.next().and_then(|word| word.parse().ok()) {
            *field = number;
        }
    }
    for at in 0..zones.len() {
        zones[at].lowmem_reserve = lowmem_reserve(&zones, at, &protections[at]);
    }
    zones.retain(|zone| zone.managed != 0);
    zones
}

/// What the zone at `at` keeps from `GFP_KERNEL`: its protection has a number for each zone of the
/// node that an allocation may use at most, in their order, in which all of them are printed
/// whether they have memory or not (mm/page_alloc.c `setup_per_zone_lowmem_reserve`).
fn lowmem_reserve(zones: &[NodeZone], at: usize, protection: &[u64]) -> Option<u64> {
    let first = zones.iter().position(|zone| zone.node == zones[at].node)?;
    let of_node = zones[first..].iter().take_while(|zone| zone.node == zones[at].node);
    let highest = of_node.clone().position(|zone| zone.name == KERNELS_ZONE)?;
    if at - first > highest {
        return None;
    }
    protection.get(highest).copied()
}

/// Adds what lines like `Node 0, zone   Normal   12   3 …` say.
fn add_blocks(zones: &mut [NodeZone], buddyinfo: &str) {
    for line in buddyinfo.lines() {
        let Some((node, rest)) = heading(line) else { continue };
        let mut words = rest.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let zone = zones.iter_mut().find(|zone| zone.node == node && zone.name == name);
        if let Some(zone) = zone {
            zone.blocks = words.map_while(|word| word.parse().ok()).collect();
        }
    }
}

/// The node of `Node 0, zone   Normal`, and what comes after `zone`.
fn heading(line: &str) -> Option<(u32, &str)> {
    let (node, rest) = line.strip_prefix("Node ")?.split_once(", zone ")?;
    Some((node.parse().ok()?, rest.trim()))
}

impl NodeZone {
    /// The zone as the page allocator looks at it for `GFP_KERNEL`; `None` if that can't use it.
    /// What is not told to everybody: how much is held back for high-order atomic allocations, and
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
