//! Processes that hold memory, as other containers would.

use anyhow::Result;
use fragwatch_states::Spec;
use fragwatch_states::spec::{Hog, HogSize};

use crate::state;

/// One that holds so much memory and that the OOM killer takes before others.
pub(crate) fn bystander(mib: u64) -> Spec {
    Spec::Hog(Hog { size: HogSize::Kib(mib * 1024), oom_score_adj: 500 })
}

/// Starts bystanders of 4 MiB and a process that holds all memory but so much. `score` is its
/// oom_score_adj.
pub(crate) fn leave(mib: u64, score: i32, bystanders: usize) -> Result<()> {
    let mut specs = vec![bystander(4); bystanders];
    specs.push(Spec::Hog(Hog { size: HogSize::AllBut(mib * 1024), oom_score_adj: score }));
    state::reach(&specs).map(drop)
}
