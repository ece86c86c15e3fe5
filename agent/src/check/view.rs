//! The result as it is printed.
use fragwatch_core::{
    model::{node::MAX_MEMORY_CGROUPS, zone::Offer},
    report::line::{Line, check as line},
};

use crate::check::{Check, IdCheck, OrderCheck, Source, ZoneCheck};

/// The result as a line.
pub(super) fn line(check: &Check) -> Line {
    Line::Check(Box::new(self::check(check)))
}

/// The result.
pub(crate) fn check(check: &Check) -> line::Check {
    let status = check.status();
    line::Check {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: check.facts.kernel.clone(),
        status,
        exit_code: status.exit_code(),
        orders: check.orders.iter().map(|o| order(o, check.page_size)).collect(),
        memory_cgroups: check.ids.map(ids),
        not_seen: check.not_seen(),
    }
}

fn order(order: &OrderCheck, page_size: u64) -> line::OrderCheck {
    line::OrderCheck {
        order: order.need.order,
        bytes: page_size.checked_shl(order.need.order),
        from: order.need.source.name(),
        needed_for: order.need.source.describe(),
        seen: match &order.need.source {
            Source::Seen(seen) => Some(line::Seen {
                count: seen.count,
                first: seen.first.into(),
                last: seen.last.into(),
            }),
            Source::Asked | Source::Kernel => None,
        },
        status: order.status,
        reason: order.reason.clone(),
        blocks: order.blocks,
        zones: order.zones.iter().map(|z| zone(z, page_size)).collect(),
    }
}

fn zone(zone: &ZoneCheck, page_size: u64) -> line::ZoneCheck {
    let kib = |pages: u64| pages.saturating_mul(page_size) / 1024;
    line::ZoneCheck {
        node: zone.zone.node,
        name: zone.zone.name.clone(),
        offer: match zone.offer {
            Offer::Usable => "usable",
            Offer::Fragmented => "fragmented",
            Offer::Reserved => "reserved",
            Offer::Exhausted => "exhausted",
            Offer::Unseen | Offer::Unknown => "unknown",
        },
        blocks: zone.blocks,
        free_kib: kib(zone.zone.free),
        min_watermark_kib: kib(zone.zone.min_watermark),
        lowmem_reserve_kib: kib(zone.zone.lowmem_reserve),
        margin_kib: zone.margin.saturating_mul(page_size.cast_signed()) / 1024,
        free_blocks: zone.zone.blocks.clone(),
        fragmentation_index: zone.index,
    }
}

fn ids(ids: IdCheck) -> line::IdCheck {
    line::IdCheck {
        status: ids.status,
        count: ids.cgroups.count,
        at_most: ids.cgroups.at_most,
        dying: ids.cgroups.dying,
        max: MAX_MEMORY_CGROUPS,
        left: ids.left,
    }
}
