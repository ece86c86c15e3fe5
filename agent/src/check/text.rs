//! The answer for people and monitoring: one line that says all, then what it rests on.
use std::io::{self, Write};

use fragwatch_core::{
    report::{GREEN, RED, YELLOW, labelled, paint},
    units::{bytes, grouped, printable},
};

use crate::check::{Check, CheckStatus, OrderCheck, ZoneCheck, json::offer};

/// Writes it as one piece. Styles are written always; `out` strips them where they don't belong.
pub(super) fn write(check: &Check, out: &mut impl Write) -> io::Result<()> {
    let mut text = lines(check).join("\n");
    text.push('\n');
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn lines(check: &Check) -> Vec<String> {
    let mut lines = vec![headline(check)];
    for order in &check.orders {
        let verdict = styled(order.status, order.status.name());
        let label = format!("order {}", order.need.order);
        let who = order.need.source.describe();
        lines.push(labelled(&label, &format!("{verdict}: {}; {who}", order.reason)));
        lines.extend(order.zones.iter().map(|zone| labelled("", &zone_text(zone, check))));
    }
    if let Some(ids) = check.ids {
        let verdict = styled(ids.status, ids.status.name());
        let left = grouped(ids.left);
        let text = format!("{verdict}: {}, {left} ids left", ids.cgroups.describe());
        lines.push(labelled("cgroups", &text));
    }
    lines.extend(check.not_seen().iter().map(|what| labelled("not counted", what)));
    lines
}

/// What is worst, or that all is well.
fn headline(check: &Check) -> String {
    let status = check.status();
    let of_order = |order: &OrderCheck| format!("order {}: {}", order.need.order, order.reason);
    let orders = check.orders.iter().filter(|order| order.status == status).map(of_order);
    let ids = check.ids.filter(|ids| ids.status == status);
    let said: Vec<String> = orders.chain(ids.map(|ids| ids.cgroups.describe())).collect();
    format!("{} - {}", styled(status, status.plugin_word()), said.join("; "))
}

fn styled(status: CheckStatus, text: &str) -> String {
    let style = match status {
        CheckStatus::Ok => GREEN,
        CheckStatus::Tight | CheckStatus::Unknown => YELLOW,
        CheckStatus::WouldFail => RED,
    };
    paint(style, text)
}

fn zone_text(zone: &ZoneCheck, check: &Check) -> String {
    let size = |pages: u64| bytes(pages.saturating_mul(check.page_size));
    let margin = size(zone.margin.unsigned_abs());
    let where_to = if zone.margin > 0 { "above" } else { "below" };
    let reserve = if zone.zone.lowmem_reserve == 0 { "" } else { " and reserve" };
    let index = zone.index.map(|index| format!(", index {index:.3}")).unwrap_or_default();
    let plural = if zone.blocks == 1 { "block" } else { "blocks" };
    format!(
        "{}: {}, {} {plural}{index}, {} free, which is {margin} {where_to} its watermark{reserve}",
        printable(&zone.zone.label()),
        offer(zone.offer),
        grouped(zone.blocks),
        size(zone.zone.free),
    )
}
