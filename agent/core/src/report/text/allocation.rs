//! Allocations in trouble, the memory that they found, and slab caches.
use std::collections::BTreeMap;

use super::{container, kib, micros};
use crate::{
    model::{allocation::Outcome, verdict::Cause},
    report::line::{
        allocation::{Allocation, Gfp, Zone},
        memcg::{ChargeFailed, ForkRefused, OomKill},
        slab::{SlabCache, SlabFailure, Vmalloc},
    },
    units::{bytes, printable},
};

/// Allocations that are shown with all that is known of them.
const MAX_SHOWN: usize = 3;
/// OOM kills that are shown.
const MAX_KILLS: usize = 3;

/// The functions that asked for the memory; `None` if they are not known.
pub(super) fn callers(a: &Allocation) -> Option<String> {
    let module = a.module.as_ref().map(|module| format!(" [{module}]")).unwrap_or_default();
    let (site, outer) = a.stack.split_first()?;
    let site = format!("{site}{module}");
    let functions: Vec<&str> = std::iter::once(&site).chain(outer).map(String::as_str).collect();
    Some(printable(&functions.join(" < ")))
}

/// Sentences about allocations: those that decide with all that is known, the others by their
/// number. `decisive` is the one whose callers are shown already; a verdict of `cause` may have its
/// compactions already.
pub(super) fn items(
    allocations: &[Allocation],
    omitted: u64,
    decisive: Option<&Allocation>,
    cause: Cause,
) -> Vec<String> {
    let with_compactions = !matches!(cause, Cause::Fragmentation | Cause::OomFragmentation);
    let decides = |a: &&Allocation| match decisive.map(|decisive| decisive.outcome) {
        Some(Outcome::FellBack | Outcome::Recovered) => {
            decisive.is_some_and(|decisive| std::ptr::eq(*a, decisive))
        }
        _ => !matches!(a.outcome, Outcome::FellBack | Outcome::Recovered),
    };
    let deciding: Vec<&Allocation> = allocations.iter().filter(decides).collect();
    let shown = &deciding[deciding.len().saturating_sub(MAX_SHOWN)..];
    let is_shown = |a: &Allocation| shown.iter().any(|shown| std::ptr::eq(*shown, a));
    let mut items = Vec::new();
    for a in shown {
        items.push(sentence(a, with_compactions));
        if !decisive.is_some_and(|decisive| std::ptr::eq(*a, decisive)) {
            items.extend(callers(a).map(|callers| format!("asked for by {callers}")));
        }
        items.extend(a.zone.as_ref().map(free_blocks_of));
    }
    let mut others: BTreeMap<&str, BTreeMap<u32, u64>> = BTreeMap::new();
    for a in allocations.iter().filter(|a| !is_shown(a)) {
        *others.entry(outcome(a.outcome)).or_default().entry(a.order).or_default() += 1;
    }
    for (outcome, orders) in others {
        let all: u64 = orders.values().sum();
        let orders: Vec<String> =
            orders.iter().map(|(order, count)| format!("{count} of order {order}")).collect();
        items.push(format!("{all} more {outcome}: {}", orders.join(", ")));
    }
    if omitted != 0 {
        items.push(format!("{omitted} more of them without details"));
    }
    items
}

fn sentence(a: &Allocation, with_compactions: bool) -> String {
    let size = a.bytes.map(|size| format!(" ({})", bytes(size))).unwrap_or_default();
    let waited = (a.stall_us != 0).then(|| format!(", waited {}", micros(a.stall_us)));
    let compactions = (with_compactions && !a.compactions.is_empty())
        .then(|| format!(", compaction: {}", printable(&a.compactions.join(", "))));
    let reclaimed = (a.reclaimed_kib != 0).then(|| format!(", {} reclaimed", kib(a.reclaimed_kib)));
    format!(
        "order {}{size} {}: {}{}{}{}",
        a.order,
        outcome(a.outcome),
        gfp(&a.gfp),
        waited.unwrap_or_default(),
        compactions.unwrap_or_default(),
        reclaimed.unwrap_or_default()
    )
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        Outcome::FellBack => "failed and fell back",
        Outcome::Recovered => "got memory after a stall",
        Outcome::CalledOomKiller => "called the OOM killer",
        Outcome::Unknown => "stalled, result not seen",
    }
}

fn gfp(gfp: &Gfp) -> String {
    match &gfp.flags {
        Some(flags) => format!("{} ({})", printable(flags), gfp.raw),
        None => format!("gfp {}", gfp.raw),
    }
}

fn free_blocks_of(zone: &Zone) -> String {
    let name = if zone.name.is_empty() { "unnamed" } else { &zone.name };
    let node = zone.node.map(|node| format!(" of node {node}")).unwrap_or_default();
    let blocks = zone.free_blocks.as_deref().map_or_else(|| "not seen".to_owned(), free_blocks);
    printable(&format!("free in zone {name}{node}: {blocks}"))
}

/// Free blocks per order.
pub(super) fn free_blocks(blocks: &[u64]) -> String {
    let counts = blocks.iter().enumerate().filter(|&(_, &count)| count != 0);
    let text: Vec<String> = counts
        .enumerate()
        .map(|(at, (order, count))| {
            let what = if at == 0 { " blocks" } else { "" };
            format!("{count}{what} of order {order}")
        })
        .collect();
    if text.is_empty() { "no block".to_owned() } else { text.join(", ") }
}

/// A charge that failed.
pub(super) fn charge(charge: &ChargeFailed) -> String {
    let amount = charge.bytes.map_or_else(|| "kernel memory".to_owned(), bytes);
    let memcg = charge.memcg.as_deref().unwrap_or("a memory cgroup");
    let full = match (charge.usage_kib, charge.limit_kib) {
        (Some(usage), Some(limit)) => format!(", which used {} of {}", kib(usage), kib(limit)),
        _ => String::new(),
    };
    format!("charge of {amount} to {}{full} failed with {}", printable(memcg), charge.errno)
}

/// OOM kills, the first of them in full.
pub(super) fn oom_kills(kills: &[OomKill]) -> Vec<String> {
    let mut items: Vec<String> = kills.iter().take(MAX_KILLS).map(oom_kill).collect();
    if kills.len() > MAX_KILLS {
        items.push(format!("{} more OOM kills", kills.len() - MAX_KILLS));
    }
    items
}

fn oom_kill(kill: &OomKill) -> String {
    let pid = kill.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let order = kill.order.map(|order| format!(", for order {order}")).unwrap_or_default();
    let whose = match (kill.scope, &kill.memcg) {
        (Some("node"), _) => ", of the node's memory".to_owned(),
        (Some(_), Some(path)) => format!(", of memory cgroup {}", printable(path)),
        (Some(_), None) => ", of a memory cgroup".to_owned(),
        (None, _) => String::new(),
    };
    match &kill.comm {
        Some(comm) => {
            let of = kill.container.as_ref();
            let of = of.map(|of| format!(" of {}", container::label(of))).unwrap_or_default();
            format!("OOM killer killed {}{pid}{of}{order}{whose}", printable(comm))
        }
        None => format!("OOM killer called{order}{whose}"),
    }
}

/// A fork that was refused.
pub(super) fn fork_refused(refused: &ForkRefused) -> String {
    let whose = refused.cgroup.as_deref().map_or_else(|| "a cgroup".to_owned(), printable);
    let full = match (refused.processes, refused.limit) {
        (Some(processes), Some(limit)) => format!(", which has {processes} of {limit} processes"),
        _ => String::new(),
    };
    let times = refused.times.filter(|times| *times > 1);
    let times = times.map(|times| format!(", {times} times")).unwrap_or_default();
    format!("fork refused by {whose}{full}{times}")
}

/// A slab cache that could not be created.
pub(super) fn slab_cache(cache: &SlabCache) -> String {
    let size = cache.size.map(|size| format!(", {size} bytes an object")).unwrap_or_default();
    let errno = cache.errno.as_ref().map(|errno| format!(", {errno}")).unwrap_or_default();
    format!("slab cache not created: {}{size}{errno}", printable(&cache.name))
}

/// A slab cache that got no pages.
pub(super) fn slab_failure(slab: &SlabFailure) -> String {
    let name = slab.name.as_deref().map_or_else(|| "not named".to_owned(), printable);
    let order = slab.min_order.map(|order| format!(", order {order} would do")).unwrap_or_default();
    let times = if slab.times > 1 { format!(", {} times", slab.times) } else { String::new() };
    format!("slab cache got no pages: {name}{order}{times}")
}

/// A vmalloc that failed.
pub(super) fn vmalloc(failed: &Vmalloc) -> String {
    let amount = failed
        .bytes
        .map_or_else(|| "of unknown size".to_owned(), |size| format!("of {}", bytes(size)));
    let mask = failed.gfp.as_ref().map(|mask| format!(": {}", gfp(mask))).unwrap_or_default();
    format!("vmalloc {amount} failed{mask}")
}
