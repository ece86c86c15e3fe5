//! Memory that a process takes and holds: in large pieces, page by page with holes, as blocks of the
//! kernel, and as small objects of the kernel.
mod carve;
mod eater;
mod messages;
mod pages;
mod probe;
mod region;

use std::fs;

use anyhow::{Context as _, Result};
use fragwatch_core::model::node::NodeZone;

pub(crate) use carve::Carver;
pub(crate) use eater::Eater;
pub(crate) use messages::{LARGEST as LARGEST_BETWEEN_MESSAGES, Messages};
pub(crate) use pages::{Ballast, PAGE, STEP};
pub(crate) use probe::Probe;
pub(crate) use region::Region;

/// A value in KiB of /proc/meminfo.
pub fn meminfo_kib(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("could not read /proc/meminfo")?;
    let value = text.lines().find_map(|line| {
        line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
    });
    value.with_context(|| format!("/proc/meminfo has no {name}"))
}

/// Pages that a process can take before reclaim begins: what is free above the `high` watermarks and the
/// reserves.
pub(crate) fn spare_pages(zones: &[NodeZone]) -> u64 {
    zones.iter().map(spare_of).sum()
}

/// Those of one zone.
fn spare_of(zone: &NodeZone) -> u64 {
    zone.free.saturating_sub(zone.high + zone.lowmem_reserve.unwrap_or_default())
}
