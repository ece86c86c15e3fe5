//! The result of `check`: one line that says all, as monitoring expects it, then what it rests on.
use anstyle::Style;

use super::{Block, GREEN, RED, YELLOW, kib, paint};
use crate::{
    model::status::CheckStatus,
    report::line::check::{Check, Forecast, IdCheck, OrderCheck, Serve, Trend, ZoneCheck},
    units::{self, grouped, printable},
};

/// The result.
pub(super) fn block(check: &Check) -> Block {
    let mut block = Block::new(headline(check));
    for order in &check.orders {
        let rest = format!(": {}; {}", printable(&order.reason), printable(&order.needed_for));
        let label = format!("order {}", order.order);
        block.row_led_by(&label, style(order.status), word(order.status), &rest);
        block.list("", order.zones.iter().map(zone));
    }
    if let Some(ids) = &check.memory_cgroups {
        let rest = format!(": {}, {} ids left", memory_cgroups(ids), grouped(ids.left));
        block.row_led_by("cgroups", style(ids.status), word(ids.status), &rest);
    }
    if let Some(serve) = &check.serve {
        self::serve(&mut block, serve);
    }
    block.list("not seen", check.not_seen.iter().map(|text| printable(text)));
    block
}

/// What `serve` knows.
fn serve(block: &mut Block, serve: &Serve) {
    let failed = match serve.failed_last_hour {
        0 => "no creation failed in the last hour".to_owned(),
        1 => "1 creation failed in the last hour".to_owned(),
        count => format!("{} creations failed in the last hour", grouped(count)),
    };
    block.row("serve", &format!("{} since {}; {failed}", printable(&serve.state), serve.started));
    if let Some(last) = &serve.last_failure {
        block.row("last", &format!("{} {}", last.time, printable(&last.summary)));
    }
    let trend = |trend: &Trend| {
        let (left, before) = (grouped(trend.left), grouped(trend.left_before));
        let minutes = trend.before_s / 60;
        printable(&format!("{}: {before} left {minutes} min ago, {left} now", trend.resource))
    };
    block.list("trend", serve.trend.iter().map(trend));
    block.list("forecast", serve.forecast.iter().map(forecast));
}

fn forecast(forecast: &Forecast) -> String {
    let hours = forecast.seconds_to_failure as f64 / 3600.0;
    printable(&format!("{} runs out in {hours:.1} hours, as it goes", forecast.resource))
}

/// What is worst, or that all is well.
fn headline(check: &Check) -> String {
    let of_order =
        |order: &OrderCheck| format!("order {}: {}", order.order, printable(&order.reason));
    let orders = check.orders.iter().filter(|order| order.status == check.status).map(of_order);
    let ids = check.memory_cgroups.as_ref().filter(|ids| ids.status == check.status);
    let mut parts: Vec<String> = orders.chain(ids.map(memory_cgroups)).collect();
    if parts.is_empty() {
        // The status rests on the forecast.
        parts = check.serve.iter().flat_map(|serve| &serve.forecast).map(forecast).collect();
    }
    let word = paint(style(check.status), check.status.plugin_word());
    format!("{word} - {}", parts.join("; "))
}

fn memory_cgroups(ids: &IdCheck) -> String {
    units::memory_cgroups(ids.count, ids.at_most, ids.dying, ids.max)
}

fn word(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Ok => "ok",
        CheckStatus::Tight => "tight",
        CheckStatus::Unknown => "unknown",
        CheckStatus::WouldFail => "would fail",
    }
}

fn style(status: CheckStatus) -> Style {
    match status {
        CheckStatus::Ok => GREEN,
        CheckStatus::Tight | CheckStatus::Unknown => YELLOW,
        CheckStatus::WouldFail => RED,
    }
}

fn zone(zone: &ZoneCheck) -> String {
    let margin = kib(zone.margin_kib.unsigned_abs());
    let side = if zone.margin_kib > 0 { "above" } else { "below" };
    let reserve = if zone.lowmem_reserve_kib == 0 { "" } else { " and reserve" };
    let index =
        zone.fragmentation_index.map(|index| format!(", index {index:.3}")).unwrap_or_default();
    let plural = if zone.blocks == 1 { "block" } else { "blocks" };
    let name = if zone.name.is_empty() { "unnamed" } else { &zone.name };
    let node = zone.node.map(|node| format!(" of node {node}")).unwrap_or_default();
    printable(&format!(
        "zone {name}{node}: {}, {} {plural}{index}, {} free, {margin} {side} its watermark{reserve}",
        zone.offer,
        grouped(zone.blocks),
        kib(zone.free_kib),
    ))
}
