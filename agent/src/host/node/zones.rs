//! Zones, from /proc/zoneinfo and /proc/buddyinfo (mm/vmstat.c), which are read one after the other.
use std::path::Path;

use fragwatch_core::model::node::NodeZone;

use crate::host::node::text;

/// All zones with memory, in the kernel's order.
pub(super) fn read(root: &Path) -> Vec<NodeZone> {
    let Some(zoneinfo) = text(root, "proc/zoneinfo") else { return Vec::new() };
    let mut zones = parse_zoneinfo(&zoneinfo);
    if let Some(buddyinfo) = text(root, "proc/buddyinfo") {
        add_blocks(&mut zones, &buddyinfo);
    }
    zones
}

/// The highest zone that `GFP_KERNEL` may use.
const GFP_KERNEL_ZONE: &str = "Normal";

/// Parses in a single pass, because on a machine with many CPUs the file is large: nearly all of it is
/// about per-CPU page lists.
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

/// Pages that the zone at index `at` reserves against `GFP_KERNEL` allocations; `None` if those can't
/// use the zone. `protection` has a number per zone of the node, in the order in which they are printed,
/// for allocations whose highest zone that is (mm/page_alloc.c `setup_per_zone_lowmem_reserve`).
fn lowmem_reserve(zones: &[NodeZone], at: usize, protection: &[u64]) -> Option<u64> {
    let first = zones.iter().position(|zone| zone.node == zones[at].node)?;
    let of_node = zones[first..].iter().take_while(|zone| zone.node == zones[at].node);
    let highest = of_node.clone().position(|zone| zone.name == GFP_KERNEL_ZONE)?;
    if at - first > highest {
        return None;
    }
    protection.get(highest).copied()
}

/// Adds free blocks per order from lines like `Node 0, zone   Normal   12   3 …`.
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

/// Parses `Node 0, zone   Normal …` to the node and the text after `zone`.
fn heading(line: &str) -> Option<(u32, &str)> {
    let (node, rest) = line.strip_prefix("Node ")?.split_once(", zone ")?;
    Some((node.parse().ok()?, rest.trim()))
}
