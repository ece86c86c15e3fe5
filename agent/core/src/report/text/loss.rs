//! Events that were lost.
use super::{Block, YELLOW, paint};
use crate::report::line::loss::Loss;

/// What was lost so far, as far as anything was.
pub(super) fn block(loss: &Loss) -> Block {
    Block::new(headline(loss))
}

/// The same as one line.
pub(super) fn headline(loss: &Loss) -> String {
    let kinds = [
        (loss.creation_events, "events of creations"),
        (loss.other_events, "other events"),
        (loss.cgroup_events, "events of cgroups"),
        (loss.untracked_creations, "creations not followed"),
        (loss.unseen_returns, "returns not seen"),
        (loss.missed_runs, "runs of a program skipped by the kernel"),
    ];
    let counts: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count != 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let counts = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
    format!("{}: {counts}", paint(YELLOW, "lost so far"))
}
