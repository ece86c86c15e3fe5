//! The result as it is printed.
use fragwatch_core::{
    model::{node::MAX_MEMORY_CGROUPS, status::CheckStatus, zone::Offer},
    report::line::check as line,
};

use crate::check::{Check, IdCheck, OrderCheck, Source, ZoneCheck};

/// With a forecast that is nearer than this little is left, in seconds.
const SOON: u64 = 3600;

/// The result, with what `serve` knows. What runs out soon makes a status that is ok tight.
pub(crate) fn check(check: &Check, serve: Option<line::Serve>) -> line::Check {
    let forecasts = serve.iter().flat_map(|serve| &serve.forecast);
    let soon = forecasts.map(|forecast| forecast.seconds_to_failure).any(|seconds| seconds < SOON);
    let status = match check.status() {
        CheckStatus::Ok if soon => CheckStatus::Tight,
        status => status,
    };
    line::Check {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: check.facts.kernel.clone(),
        status,
        exit_code: status.exit_code(),
        orders: check.orders.iter().map(|o| order(o, check.page_size)).collect(),
        memory_cgroups: check.ids.map(ids),
        serve,
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
