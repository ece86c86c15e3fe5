//! The answer for programs: one object.
use std::io::{self, Write};

use fragwatch_core::{
    model::{node::MAX_MEMORY_CGROUPS, zone::Offer},
    report::escape,
};
use serde_json::{Value, json};

use crate::check::{Check, IdCheck, OrderCheck, Source, ZoneCheck};

/// Writes it as one line.
pub(super) fn write(check: &Check, out: &mut impl Write) -> io::Result<()> {
    let mut line = escape(&value(check).to_string());
    line.push('\n');
    out.write_all(line.as_bytes())?;
    out.flush()
}

fn value(check: &Check) -> Value {
    let status = check.status();
    json!({
        "type": "check",
        "version": env!("CARGO_PKG_VERSION"),
        "kernel": check.facts.kernel,
        "verdict": status.name(),
        "exit_code": status.exit_code(),
        "orders": check.orders.iter().map(|o| order(o, check.page_size)).collect::<Vec<_>>(),
        "memory_cgroups": check.ids.map(ids),
        "not_seen": check.not_seen(),
    })
}

fn order(order: &OrderCheck, page_size: u64) -> Value {
    let seen = match &order.need.source {
        Source::Seen(seen) => Some(seen),
        Source::Asked | Source::Kernel => None,
    };
    json!({
        "order": order.need.order,
        "bytes": page_size.checked_shl(order.need.order),
        "from": order.need.source.name(),
        "seen": seen,
        "verdict": order.status.name(),
        "reason": order.reason,
        "blocks": order.blocks,
        "zones": order.zones.iter().map(|z| zone(z, page_size)).collect::<Vec<_>>(),
    })
}

fn zone(zone: &ZoneCheck, page_size: u64) -> Value {
    let kib = |pages: u64| pages.saturating_mul(page_size) / 1024;
    let margin = zone.margin.saturating_mul(page_size.cast_signed()) / 1024;
    json!({
        "node": zone.zone.node,
        "name": zone.zone.name,
        "offer": offer(zone.offer),
        "blocks": zone.blocks,
        "free_kib": kib(zone.zone.free),
        "min_watermark_kib": kib(zone.zone.min_watermark),
        "lowmem_reserve_kib": kib(zone.zone.lowmem_reserve),
        "margin_kib": margin,
        "free_blocks": zone.zone.blocks,
        "fragmentation_index": zone.index,
    })
}

/// What a zone offers, in a word.
pub(super) fn offer(offer: Offer) -> &'static str {
    match offer {
        Offer::Usable => "usable",
        Offer::Fragmented => "fragmented",
        Offer::Reserved => "reserved",
        Offer::Exhausted => "exhausted",
        Offer::Unseen | Offer::Unknown => "unknown",
    }
}

fn ids(ids: IdCheck) -> Value {
    json!({
        "verdict": ids.status.name(),
        "count": ids.cgroups.count,
        "at_most": ids.cgroups.at_most,
        "dying": ids.cgroups.dying,
        "max": MAX_MEMORY_CGROUPS,
        "left": ids.left,
    })
}
