//! What is watched, in six lines at most.
use std::collections::BTreeSet;

use super::{Block, RED, YELLOW, paint};
use crate::{
    report::line::{hook::State, ready::Ready},
    units::printable,
};

/// Lines in all.
const MAX_LINES: usize = 6;
/// Lines for what the kernel refused.
const MAX_REASONS: usize = 2;

/// What is watched, why hooks are missing, and what can't be seen without them.
pub(super) fn block(ready: &Ready) -> Block {
    let missing = ready.hooks.iter().filter(|hook| hook.state == Some(State::Missing)).count();
    let there = ready.hooks.len() - missing;
    let count = match missing {
        0 => format!("with all {there} hooks"),
        _ => paint(RED, &format!("with {there} of {} hooks", ready.hooks.len())),
    };
    let mut lines = vec![format!(
        "fragwatch {} on Linux {}: watching {count}; Ctrl-C ends",
        ready.version,
        printable(&ready.kernel),
    )];
    let losing = ready.hooks.iter().filter(|hook| hook.not_seen.is_some());
    let reasons: BTreeSet<&str> =
        losing.flat_map(|hook| &hook.reasons).map(String::as_str).collect();
    lines.extend(reasons.iter().take(MAX_REASONS).map(|reason| format!("  {}", printable(reason))));
    let left = MAX_LINES - lines.len();
    let shown = if ready.not_seen.len() > left { left - 1 } else { left };
    let not_seen = |text: &String| format!("  {} {}", paint(YELLOW, "not seen:"), printable(text));
    lines.extend(ready.not_seen.iter().take(shown).map(not_seen));
    if ready.not_seen.len() > shown {
        let more = ready.not_seen.len() - shown;
        lines.push(format!("  and {more} more that is not seen: fragwatch doctor lists all"));
    }
    let mut lines = lines.into_iter();
    let mut block = Block::new(lines.next().unwrap_or_default());
    lines.for_each(|line| block.line(line));
    block
}
