//! Zones, from /proc/zoneinfo and /proc/buddyinfo (mm/vmstat.c). The two are not of one moment.
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::text;

/// A zone that has memory. Counts are pages of the kernel's page size.
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
    /// What is kept in it for allocations that can use no higher zone than this one, per zone, from
    /// the lowest.
    pub protection: Vec<u64>,
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

/// One pass over it: on a machine with many CPUs nearly all of it is about their page lists.
fn parse_zoneinfo(text: &str) -> Vec<NodeZone> {
    let mut zones: Vec<NodeZone> = Vec::new();
    for line in text.lines() {
        if let Some((node, name)) = heading(line) {
            zones.push(NodeZone { node, name: name.to_owned(), ..NodeZone::default() });
            continue;
        }
        let Some(zone) = zones.last_mut() else { continue };
        let mut words = line.split_ascii_whitespace();
        let field = match words.next() {
            Some("pages") if words.next() == Some("free") => &mut zone.free,
            Some("min") => &mut zone.min,
            Some("low") => &mut zone.low,
            Some("high") => &mut zone.high,
            Some("managed") => &mut zone.managed,
            Some("nr_free_cma") => &mut zone.free_cma,
            Some("protection:") => {
                let numbers =
                    words.filter_map(|word| word.trim_matches(['(', ',', ')']).parse().ok());
                zone.protection = numbers.collect();
                continue;
            }
            _ => continue,
        };
        if let Some(number) = words.next().and_then(|word| word.parse().ok()) {
            *field = number;
        }
    }
    zones.retain(|zone| zone.managed != 0);
    zones
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
