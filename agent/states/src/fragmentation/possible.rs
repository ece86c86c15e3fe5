//! What can't be had on a machine, and what is left free on it unless something else is asked for.
use anyhow::{Result, bail};
use fragwatch_core::{model::node::NodeZone, units};

use super::SLACK;
use crate::{
    memory::{LARGEST_BETWEEN_MESSAGES, PAGE, meminfo_kib, spare_pages},
    spec::{Fragmentation, Kind},
    zones,
};

/// Free memory that is left if nothing else is asked for, in KiB.
const DEFAULT_KEEP_KIB: u64 = 64 << 10;

/// What can't be had on this machine, in a sentence.
pub(crate) fn check(spec: &Fragmentation, zones: &[NodeZone]) -> Result<()> {
    let max = zones::max_order(zones);
    if spec.order == 0 || spec.order > max {
        bail!("order {} can't lack: this kernel's blocks have orders 1 to {max}", spec.order);
    }
    if spec.kind == Kind::Slab && spec.order <= LARGEST_BETWEEN_MESSAGES {
        bail!(
            "objects of the kernel leave blocks of order {LARGEST_BETWEEN_MESSAGES} between them: take an \
             order above that, or another kind"
        );
    }
    let keep = spec.keep_kib * 1024 / PAGE;
    let least = least_free(spec.order, zones);
    let most = most_free(spec, zones);
    if keep > most {
        bail!(
            "{} can't be left free in blocks below order {}: on this machine at most {} can",
            units::bytes(keep * PAGE),
            spec.order,
            units::bytes(most * PAGE)
        );
    }
    if keep < least {
        bail!(
            "with {} free no allocation fails for fragmentation, but for lack of memory: leave at least \
             {}, which is the kernel's watermarks",
            units::bytes(keep * PAGE),
            units::bytes(least * PAGE)
        );
    }
    Ok(())
}

/// With so few pages free an allocation of that order fails for lack of memory, not for fragmentation.
fn least_free(order: u32, zones: &[NodeZone]) -> u64 {
    let mark = |zone: &NodeZone| Some(zone.min + zone.lowmem_reserve?);
    let marks: u64 = zones.iter().filter(|zone| zone.name != "DMA").filter_map(mark).sum();
    marks + (1 << order.min(40))
}

/// Memory to leave free on this machine so that allocations of that order fail for fragmentation, and others
/// succeed, in KiB.
pub fn default_keep_kib(order: u32) -> Result<u64> {
    let least_kib = least_free(order, &zones::read()?) * PAGE / 1024;
    Ok(DEFAULT_KEEP_KIB.max(least_kib + least_kib / 2))
}

/// Pages that can be free in small blocks: of each block of the order one page is held.
fn most_free(spec: &Fragmentation, zones: &[NodeZone]) -> u64 {
    let available = meminfo_kib("MemAvailable").unwrap_or_default() * 1024 / PAGE;
    let pages = available.max(spare_pages(zones)).saturating_sub(2 * SLACK);
    let share = match spec.kind {
        Kind::Slab => pages / 5,
        Kind::Pinned | Kind::PageCache => pages - (pages >> spec.order.min(63)),
    };
    // Not all memory lies in whole blocks.
    share / 10 * 9
}
