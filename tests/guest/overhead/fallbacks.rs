//! What it costs that `serve` counts allocations that take a block of another migratetype: the run time of its
//! program while memory is fragmented, with all such allocations of the node.

use anyhow::{Context, Result};
use harness::overhead::Fact;

use super::{Bench, program};
use crate::{node, state};

/// The program's name.
const PROGRAM: &str = "block_fallback";

/// Fragments memory, and sends what the program took.
pub(super) fn measure(bench: &Bench) -> Result<()> {
    node::set("kernel/bpf_stats_enabled", "1")?;
    let (ns_before, runs_before) = run_time()?;
    state::end(state::fragment(bench.channel, 6, 0)?)?;
    let (ns, runs) = run_time()?;
    node::set("kernel/bpf_stats_enabled", "0")?;
    bench.send(&Fact::FallbackProgram { runs: runs - runs_before, ns: ns - ns_before });
    Ok(())
}

/// Its run time in nanoseconds, and its runs.
fn run_time() -> Result<(u64, u64)> {
    let mut times = program::times()?.into_values();
    let of_it = times.find(|(name, ..)| name == PROGRAM);
    of_it.map(|(_, ns, runs)| (ns, runs)).context("the kernel has no such program")
}
