//! Allocations.
use crate::{
    model::{allocation, call_site, event::CompactResult, frame::Frame, gfp, zone},
    report::line::allocation::{Allocation, Gfp, Zone},
};

/// An allocation on a kernel with this page size, in bytes.
pub(super) fn allocation(a: &allocation::Allocation, page_size: u64) -> Allocation {
    let failure = a.failure.as_ref();
    let callers = failure.map(|f| call_site::callers(&f.stack)).unwrap_or_default();
    let zones = failure.map(|f| f.zones.as_slice()).unwrap_or_default();
    let shown = zone::most_relevant(zones, a.order);
    Allocation {
        order: a.order,
        bytes: page_size.checked_shl(a.order),
        gfp: gfp(&a.gfp),
        outcome: a.outcome,
        stall_us: a.stall_ns / 1000,
        compactions: a.compactions.iter().map(|&result| compaction(result)).collect(),
        reclaimed_kib: a.reclaimed.saturating_mul(page_size) / 1024,
        site: callers.first().map(function),
        module: callers.first().and_then(|frame| frame.module.clone()),
        stack: callers.iter().map(function).collect(),
        zone: shown.map(|z| zone(z, page_size)),
        zones: zones.iter().map(|z| zone(z, page_size)).collect(),
        zones_complete: failure.map(|f| f.zones_complete),
        fragmentation_index: shown.and_then(|z| z.fragmentation_index(a.order)),
    }
}

/// A gfp mask.
pub(super) fn gfp(gfp: &gfp::Gfp) -> Gfp {
    Gfp { raw: format!("{:#x}", gfp.raw), flags: gfp.flags.clone() }
}

/// The name of a function, its address where it has none.
pub(super) fn function(frame: &Frame) -> String {
    frame.function.clone().unwrap_or_else(|| format!("{:#x}", frame.address))
}

fn compaction(result: CompactResult) -> String {
    match result {
        CompactResult::Skipped => "skipped".to_owned(),
        CompactResult::Deferred => "deferred".to_owned(),
        CompactResult::NoSuitablePage => "no-suitable-page".to_owned(),
        CompactResult::Complete => "complete".to_owned(),
        CompactResult::PartialSkipped => "partial-skipped".to_owned(),
        CompactResult::Contended => "contended".to_owned(),
        CompactResult::Success => "success".to_owned(),
        CompactResult::Other(number) => format!("result-{number}"),
    }
}

fn zone(z: &zone::Zone, page_size: u64) -> Zone {
    let kib = |pages: u64| pages.saturating_mul(page_size) / 1024;
    Zone {
        node: z.node,
        name: z.name.clone(),
        free_kib: kib(z.free),
        managed_kib: kib(z.managed),
        min_watermark_kib: kib(z.min_watermark),
        lowmem_reserve_kib: kib(z.lowmem_reserve),
        free_blocks: (!z.blocks.is_empty()).then(|| z.blocks.clone()),
        largest_order: z.largest_order(),
    }
}
