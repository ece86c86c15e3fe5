//! States of the node, those of `fragwatch reproduce`. Each lasts as long as its keeper.

use std::fs;

use anyhow::{Context, Result, anyhow, bail};
use fragwatch_states::memory::meminfo_kib;
use fragwatch_states::spec::{Fragmentation, Hog, HogSize, Kind};
use fragwatch_states::{Keeper, Spec};

use crate::channel::Channel;

/// Reaches these states, and sends to the host what was reached.
pub(crate) fn reach(channel: &Channel, specs: &[Spec]) -> Result<Keeper> {
    let (keeper, reached) = Keeper::start(specs, &|| false).map_err(|not| anyhow!(not.reason))?;
    for sentence in reached.into_iter().flat_map(|reached| reached.sentences) {
        channel.node(format!("state reached: {sentence}"));
    }
    Ok(keeper)
}

/// Leaves a third of the memory free, with so many blocks of that order among it, and no larger ones.
pub(crate) fn fragment(channel: &Channel, order: u32, left: u64) -> Result<Keeper> {
    channel.node("fragmenting memory: every other page of what is left free gets locked");
    // What is available may be mapped by others, who read it again at once.
    fs::write("/proc/sys/vm/drop_caches", "3").context("can't have the page cache dropped")?;
    let free = meminfo_kib("MemAvailable")?.min(meminfo_kib("MemFree")?);
    let keep_kib = free.saturating_sub(meminfo_kib("Mapped")?) / 3;
    let kind = Kind::Pinned;
    let spec = Fragmentation { order, keep_kib, kind, left, like: Vec::new() };
    reach(channel, &[Spec::Fragmentation(spec)])
}

/// A process that holds so much memory and that the OOM killer takes before others.
pub(crate) fn bystander(mib: u64) -> Spec {
    in_cgroups(mib, Vec::new())
}

/// The same in the cgroups with these `cgroup.procs`.
pub(crate) fn in_cgroups(mib: u64, procs: Vec<String>) -> Spec {
    Spec::Hog(Hog { size: HogSize::Kib(mib * 1024), oom_score_adj: 500, procs })
}

/// Starts four bystanders and a process that holds all memory but so much. `score` is its
/// oom_score_adj.
pub(crate) fn exhaust(channel: &Channel, left_mib: u64, score: i32) -> Result<Keeper> {
    let mut specs = vec![bystander(4); 4];
    specs.push(Spec::Hog(Hog {
        size: HogSize::AllBut(left_mib * 1024),
        oom_score_adj: score,
        procs: Vec::new(),
    }));
    reach(channel, &specs)
}

/// Undoes what it keeps up, and waits for that.
pub(crate) fn end(state: Keeper) -> Result<()> {
    let problems = state.end();
    if problems.is_empty() { Ok(()) } else { bail!(problems.join("; ")) }
}
