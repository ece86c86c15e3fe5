//! Zones and their free blocks, as the kernel shows them (mm/vmstat.c).
use std::fs;

use anyhow::{Context as _, Result};
use fragwatch_core::model::{
    node::NodeZone,
    zone::{Offer, Zone},
};

/// All zones of this machine that have memory, in the kernel's order.
pub fn read() -> Result<Vec<NodeZone>> {
    let text =
        |path: &str| fs::read_to_string(path).with_context(|| format!("could not read {path}"));
    Ok(parse(&text("/proc/zoneinfo")?, &text("/proc/buddyinfo")?))
}

/// The same without free blocks that ordinary allocations of the kernel can't have: those held back for
/// high-order atomic allocations, those of CMA, and isolated ones. Only root may read which they are.
pub fn read_usable() -> Result<Vec<NodeZone>> {
    let mut zones = read()?;
    let path = "/proc/pagetypeinfo";
    let text = fs::read_to_string(path).with_context(|| format!("could not read {path}"))?;
    subtract_unusable(&mut zones, &text);
    Ok(zones)
}

/// Zones that have memory, from the contents of `/proc/zoneinfo` and `/proc/buddyinfo`, which are read
/// one after the other.
pub fn parse(zoneinfo: &str, buddyinfo: &str) -> Vec<NodeZone> {
    let mut zones = parse_zoneinfo(zoneinfo);
    add_blocks(&mut zones, buddyinfo);
    zones
}

/// Puts the numbers of a later `/proc/buddyinfo` into these zones. Free pages are those in blocks, which is
/// all but those that lie ready on CPUs, as in `/proc/zoneinfo`.
pub fn update(zones: &mut [NodeZone], buddyinfo: &str) {
    add_blocks(zones, buddyinfo);
    for zone in zones {
        let pages = (0..).zip(&zone.blocks).map(|(order, count)| {
            count.saturating_mul(1u64.checked_shl(order).unwrap_or(u64::MAX))
        });
        zone.free = pages.fold(0, u64::saturating_add);
    }
}

/// The zones that the kernel's own allocations may use.
pub fn for_kernel(zones: &[NodeZone]) -> Vec<Zone> {
    zones.iter().filter_map(|zone| zone.for_kernel(false)).collect()
}

/// Blocks of `order` that these zones have for an ordinary allocation, those in larger blocks included.
pub fn room(zones: &[Zone], order: u32) -> u64 {
    let usable = zones.iter().filter(|zone| zone.offer(order) == Offer::Usable);
    usable.map(|zone| zone.pages_in_blocks_from(order) >> order).sum()
}

/// Free blocks per order of all these zones together, without those of the zone for old devices, from
/// order 0.
pub fn blocks(zones: &[NodeZone]) -> Vec<u64> {
    let mut sums = Vec::new();
    for zone in zones.iter().filter(|zone| zone.name != "DMA") {
        for (order, count) in zone.blocks.iter().enumerate() {
            if order == sums.len() {
                sums.push(0);
            }
            sums[order] += count;
        }
    }
    sums
}

/// The largest order that this kernel's page allocator has.
pub fn max_order(zones: &[NodeZone]) -> u32 {
    let orders = zones.iter().map(|zone| zone.blocks.len()).max().unwrap_or(0);
    orders.saturating_sub(1) as u32
}

/// Lists whose blocks an ordinary allocation can't have.
const UNUSABLE: [&str; 3] = ["HighAtomic", "CMA", "Isolate"];

/// Subtracts what lines like `Node    0, zone   Normal, type   HighAtomic   0   1 …` count.
fn subtract_unusable(zones: &mut [NodeZone], pagetypeinfo: &str) {
    for line in pagetypeinfo.lines() {
        let Some((place, rest)) = line.split_once(", type") else { continue };
        let mut words = rest.split_ascii_whitespace();
        if !words.next().is_some_and(|kind| UNUSABLE.contains(&kind)) {
            continue;
        }
        let Some((node, name)) = place.strip_prefix("Node").and_then(|p| p.split_once(", zone"))
        else {
            continue;
        };
        let Ok(node) = node.trim().parse::<u32>() else { continue };
        let Some(zone) =
            zones.iter_mut().find(|zone| zone.node == node && zone.name == name.trim())
        else {
            continue;
        };
        for (count, word) in zone.blocks.iter_mut().zip(words) {
            // `>100000`: the kernel stops counting there.
            *count = count.saturating_sub(word.trim_start_matches('>').parse().unwrap_or(0));
        }
    }
}

/// The highest zone that `GFP_KERNEL` may use.
const GFP_KERNEL_ZONE: &str = "Normal";

/// Zones of a copy of `/proc/buddyinfo` alone; other lines are ignored.
pub(crate) fn parse_buddyinfo(text: &str) -> Vec<NodeZone> {
    let zone = |line: &str| {
        let (node, rest) = heading(line)?;
        let mut words = rest.split_ascii_whitespace();
        let name = words.next()?.to_owned();
        let blocks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        (!blocks.is_empty()).then(|| NodeZone { node, name, blocks, ..NodeZone::default() })
    };
    text.lines().filter_map(zone).collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, blocks: &[u64]) -> NodeZone {
        NodeZone { name: name.to_owned(), blocks: blocks.to_vec(), ..NodeZone::default() }
    }

    #[test]
    fn blocks_of_all_zones_but_dma_are_summed() {
        let zones =
            [zone("DMA", &[0, 0, 1]), zone("DMA32", &[63055, 67, 58]), zone("Normal", &[5, 0, 2])];
        assert_eq!(blocks(&zones), [63060, 67, 60]);
        assert_eq!(max_order(&zones), 2);
    }

    #[test]
    fn later_blocks_replace_earlier_ones() {
        let mut zones = [zone("DMA32", &[10, 5, 3]), zone("Normal", &[1])];
        update(&mut zones, "Node 0, zone    DMA32      4      0      2 \n");
        assert_eq!((zones[0].free, &zones[0].blocks[..]), (12, &[4, 0, 2][..]));
        assert_eq!((zones[1].free, &zones[1].blocks[..]), (1, &[1][..]));
    }

    #[test]
    fn reserved_blocks_are_not_usable() {
        let mut zones = [zone("DMA32", &[10, 5, 3])];
        let text = "Free pages count per migrate type at order       0      1      2\n\
            Node    0, zone    DMA32, type    Unmovable      1      5      0\n\
            Node    0, zone    DMA32, type   HighAtomic      4      0      3\n\
            Node    1, zone    DMA32, type   HighAtomic      4      0      3\n\
            Number of blocks type     Unmovable      Movable\n";
        subtract_unusable(&mut zones, text);
        assert_eq!(zones[0].blocks, [6, 5, 0]);
    }
}
