//! The totals.
use super::{BOLD, Block, paint};
use crate::{
    report::line::summary::{Logs, Summary, Watched},
    units::printable,
};

/// The totals of a trace or of logs.
pub(super) fn block(s: &Summary) -> Block {
    let headline = match (&s.watched, &s.logs) {
        (Some(watched), _) => of_trace(watched),
        (None, Some(logs)) => of_logs(s.incidents, logs),
        (None, None) => paint(BOLD, &counted(s.incidents, "incident", "incidents")),
    };
    let mut block = Block::new(headline);
    for (cause, count) in &s.causes {
        block.row(&count.to_string(), cause.name());
    }
    if let Some(watched) = &s.watched {
        watched_rows(&mut block, watched);
    }
    if let Some(logs) = &s.logs {
        log_rows(&mut block, logs);
    }
    block
}

fn of_trace(watched: &Watched) -> String {
    let c = &watched.creations;
    format!(
        "{}: {} failed, {} degraded, {} stalled, {} ok; lost {}",
        paint(BOLD, &counted(c.ended(), "creation", "creations")),
        c.failed,
        c.degraded,
        c.stalled,
        c.ok,
        watched.lost
    )
}

fn of_logs(incidents: u64, logs: &Logs) -> String {
    let found = match incidents {
        0 => "nothing found".to_owned(),
        _ => counted(incidents, "incident", "incidents"),
    };
    let files = counted(logs.files, "log", "logs");
    let lines = counted(logs.lines, "line", "lines");
    format!("{} in {files} ({lines})", paint(BOLD, &found))
}

fn watched_rows(block: &mut Block, watched: &Watched) {
    let unfinished = watched.creations.unfinished;
    if unfinished != 0 {
        block.row(&unfinished.to_string(), "began, and were not seen to end");
    }
    if watched.incidents_omitted != 0 {
        let text = "incidents outside creations are left out: too many at once";
        block.row(&watched.incidents_omitted.to_string(), text);
    }
    if watched.failed_steps != 0 {
        let text = "forks, mounts and other steps failed that are not reported";
        block.row(&watched.failed_steps.to_string(), text);
    }
    if let Some(o) = &watched.outside {
        let failures = match o.failures {
            Some(failures) => format!("{failures} failed allocations (with a fallback or without)"),
            None => "failed allocations not seen".to_owned(),
        };
        block.row(
            "outside",
            &format!(
                "{} slow paths, {failures}, {} compactions, {} reclaims",
                o.slow_paths, o.compactions, o.reclaims
            ),
        );
    }
}

fn log_rows(block: &mut Block, logs: &Logs) {
    let skipped = &logs.skipped;
    let mut row = |count: u64, one: &str, more: &str| {
        if count != 0 {
            block.row(&count.to_string(), if count == 1 { one } else { more });
        }
    };
    let unread = "could not be read, or not to the end";
    row(logs.unread_files, unread, unread);
    row(
        logs.without_beginning,
        "report left out: its beginning is not in the log",
        "reports left out: their beginning is not in the log",
    );
    row(skipped.binary_files, "looks like anything but a log", "look like anything but a log");
    row(skipped.cut_lines, "line cut: it is too long", "lines cut: they are too long");
    row(
        skipped.undecodable_lines,
        "line with bytes that are no UTF-8",
        "lines with bytes that are no UTF-8",
    );
    if skipped.compressed_tail_lost {
        block.row("skipped", "the end of compressed data: it is cut or damaged");
    }
    for files in &logs.left_out {
        let which = if files.count == 1 { "" } else { "first " };
        let what = files.reason.describe(files.count);
        let first = printable(&files.first);
        block.row("left out", &format!("{} {what} ({which}{first})", files.count));
    }
}

fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
