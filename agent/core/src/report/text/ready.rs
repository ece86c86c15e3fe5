//! What is watched, in six lines at most.
use super::{Block, RED, YELLOW, paint};
use crate::{model::hook::State, report::line::ready::Ready, units::printable};

/// Lines in all.
const MAX_LINES: usize = 6;
/// Lines for what the kernel refused.
const MAX_REASONS: usize = 2;

/// What is watched, why hooks are missing, and what can't be seen without them.
pub(super) fn block(ready: &Ready, replayed: bool) -> Block {
    let mut lines = vec![if replayed {
        headline(ready, "recorded")
    } else {
        format!("{}; Ctrl-C ends", headline(ready, "watching"))
    }];
    let losing = ready.hooks.iter().filter(|hook| hook.not_seen.is_some());
    let reasons = most_shared(losing.flat_map(|hook| &hook.reasons));
    lines.extend(reasons.iter().take(MAX_REASONS).map(|reason| format!("  {}", printable(reason))));
    let left = MAX_LINES - lines.len();
    let shown = if ready.not_seen.len() > left { left - 1 } else { left };
    let not_seen = |text: &String| format!("  {} {}", paint(YELLOW, "not seen:"), printable(text));
    lines.extend(ready.not_seen.iter().take(shown).map(not_seen));
    if ready.not_seen.len() > shown {
        let more = ready.not_seen.len() - shown;
        lines.push(format!("  and {more} more, which fragwatch doctor lists"));
    }
    let mut lines = lines.into_iter();
    let mut block = Block::new(lines.next().unwrap_or_default());
    lines.for_each(|line| block.line(line));
    block
}

/// What is watched, with how many hooks.
pub(super) fn headline(ready: &Ready, watching: &str) -> String {
    let missing = ready.hooks.iter().filter(|hook| hook.state == Some(State::Missing)).count();
    let there = ready.hooks.len() - missing;
    let count = match missing {
        0 => format!("with all {there} hooks"),
        _ => paint(RED, &format!("with {there} of {} hooks", ready.hooks.len())),
    };
    let kernel = printable(&ready.kernel);
    format!("fragwatch {} on Linux {kernel}: {watching} {count}", ready.version)
}

/// Each reason once, the one that most hooks share first.
fn most_shared<'a>(reasons: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for reason in reasons {
        match counts.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => counts.push((reason, 1)),
        }
    }
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts.into_iter().map(|(reason, _)| reason).collect()
}
