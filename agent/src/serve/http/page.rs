//! `/`: the page for people. It has no script, and loads nothing.
use std::fmt::{self, Display, Write as _};

use fragwatch_core::{
    model::status::CheckStatus,
    report::line::check::Check,
    units::{bytes, grouped},
};

use crate::{
    check::view,
    serve::shared::{Board, Failure, Phase, Shared},
};

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta http-equiv=\"refresh\" content=\"10\">
<link rel=\"icon\" href=\"data:,\">
<title>fragwatch</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; }
td.what { overflow-wrap: anywhere; }
.ok { color: #187a2f; } .tight, .unknown { color: #a66300; } .would-fail, .failed { color: #c62828; }
@media (prefers-color-scheme: dark) {
  .ok { color: #6fd08c; } .tight, .unknown { color: #ffb74d; } .would-fail, .failed { color: #ff8a80; }
}
</style>
</head>
<body>
<h1>fragwatch</h1>
";

/// The page.
pub(super) fn html(shared: &Shared) -> String {
    let board = shared.board().clone();
    let mut page = HEAD.to_owned();
    // Writing to a string can't fail.
    let _ = body(&mut page, shared, &board);
    page.push_str("</body>\n</html>\n");
    page
}

fn body(page: &mut String, shared: &Shared, board: &Board) -> fmt::Result {
    let phase = match shared.phase() {
        Phase::Starting => "starting: the hooks are being attached",
        Phase::Watching if shared.is_alive() => "watching container creations",
        Phase::Watching => "the event loop is stuck",
        Phase::Stopping => "about to end",
    };
    let kernel = board.doctor.as_ref().map(|doctor| doctor.kernel.as_str()).unwrap_or_default();
    writeln!(
        page,
        "<p>{phase} since {:.0} on Linux {}. Failed creations since then: {}.</p>",
        shared.started,
        Escaped(kernel),
        grouped(board.failed)
    )?;
    if let Some(check) = &board.check {
        check_table(page, &view::check(check, None))?;
    }
    trend_table(page, board)?;
    failures(page, board)?;
    if let Some(store) = &board.store {
        let failing =
            if store.failing { " <span class=\"failed\">Writing fails.</span>" } else { "" };
        writeln!(
            page,
            "<h2>Store</h2>\n<p>{} of {}.{failing}</p>",
            bytes(store.bytes),
            bytes(store.max_bytes)
        )?;
    }
    let not_seen = board.doctor.iter().flat_map(|doctor| &doctor.not_seen);
    list(page, "Not seen on this kernel", not_seen)?;
    writeln!(
        page,
        "<p>More: <a href=\"/metrics\">metrics</a>, <a href=\"/status\">status</a>, \
         <a href=\"/events\">events</a>.</p>"
    )
}

fn check_table(page: &mut String, check: &Check) -> fmt::Result {
    writeln!(page, "<h2>Could the next container start? {}</h2>\n<table>", Word(check.status))?;
    for order in &check.orders {
        writeln!(
            page,
            "<tr><th>order {}</th><td>{}</td><td class=\"what\">{}</td></tr>",
            order.order,
            Word(order.status),
            Escaped(&order.reason)
        )?;
    }
    if let Some(ids) = &check.memory_cgroups {
        writeln!(
            page,
            "<tr><th>memory cgroups</th><td>{}</td><td>{} of {}</td></tr>",
            Word(ids.status),
            grouped(ids.count),
            grouped(ids.max)
        )?;
    }
    writeln!(page, "</table>")
}

fn trend_table(page: &mut String, board: &Board) -> fmt::Result {
    writeln!(page, "<h2>Forecast</h2>")?;
    let runs_out = board.outlooks.iter().filter_map(|one| Some((one, one.seconds_to_failure?)));
    for (outlook, seconds) in runs_out.clone() {
        let resource = Escaped(&outlook.resource);
        let hours = seconds / 3600.0;
        writeln!(
            page,
            "<p class=\"tight\">{resource} runs out in {hours:.1} hours, as it goes.</p>"
        )?;
    }
    if runs_out.count() == 0 {
        writeln!(page, "<p>Nothing is about to run out.</p>")?;
    }
    // Over less than a minute there is no trend.
    let mut trends = board.trend.iter().filter(|trend| trend.before_s >= 60).peekable();
    if trends.peek().is_none() {
        return Ok(());
    }
    writeln!(page, "<table>")?;
    for trend in trends {
        writeln!(
            page,
            "<tr><th>{}</th><td>{} left</td><td>{} {} min ago</td></tr>",
            Escaped(&trend.resource),
            grouped(trend.left),
            grouped(trend.left_before),
            trend.before_s / 60
        )?;
    }
    writeln!(page, "</table>")
}

fn failures(page: &mut String, board: &Board) -> fmt::Result {
    writeln!(page, "<h2>Last failures</h2>")?;
    if board.failures.is_empty() {
        return writeln!(page, "<p>None since the start.</p>");
    }
    writeln!(page, "<table>")?;
    for Failure { time, cause, confidence, summary, container, .. } in &board.failures {
        let container = container.as_deref().unwrap_or_default();
        let between = if container.is_empty() { "" } else { "<br>" };
        writeln!(
            page,
            "<tr><td>{time:.0}</td><td><span class=\"failed\">{}</span> ({})</td>\
             <td class=\"what\">{}{between}{}</td></tr>",
            Escaped(cause),
            Escaped(confidence),
            Escaped(summary),
            Escaped(container)
        )?;
    }
    writeln!(page, "</table>")
}

fn list<'a>(
    page: &mut String,
    heading: &str,
    items: impl Iterator<Item = &'a String>,
) -> fmt::Result {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return Ok(());
    }
    writeln!(page, "<h2>{heading}</h2>\n<ul>")?;
    for item in items {
        writeln!(page, "<li>{}</li>", Escaped(item))?;
    }
    writeln!(page, "</ul>")
}

/// A status as a word in its colour.
struct Word(CheckStatus);

impl Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class: &str = self.0.into();
        let word = match self.0 {
            CheckStatus::Ok => "yes",
            CheckStatus::Tight => "little is left",
            CheckStatus::Unknown => "not known",
            CheckStatus::WouldFail => "no",
        };
        write!(f, "<span class=\"{class}\">{word}</span>")
    }
}

/// Text from outside, as HTML shows it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
