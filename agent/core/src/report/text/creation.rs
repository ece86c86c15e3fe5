//! Steps of creations.
use super::{Block, GREEN, RED, YELLOW, allocation, container, micros, node, paint, verdict};
use crate::{
    model::{allocation::Outcome as AllocationOutcome, step::Outcome, verdict::Cause},
    report::line::{
        allocation::Allocation,
        creation::{Creation, PernetInit, Start, Step},
        verdict::Verdict,
    },
    units::printable,
};

/// A step that ended at that time.
pub(super) fn block(c: &Creation, time: &str) -> Block {
    let mut block = Block::new(format!("{time} {}", headline(c)));
    let Some(v) = &c.verdict else { return block };
    if c.continues.is_some() {
        // All else was reported with the first one.
        let kills = c.oom_kills.as_deref().unwrap_or_default();
        block.list("evidence", allocation::oom_kills(kills));
        block.row("why", &format!("{} again", verdict::short(v)));
        return block;
    }
    let decisive = decisive(c);
    let used = verdict::why(&mut block, v, decisive);
    let by = decisive.and_then(allocation::callers);
    if let Some(by) = by.or_else(|| c.pernet_init.as_ref().map(subsystem)) {
        block.row("by", &by);
    }
    let killed = c.oom_kills.as_ref().is_some_and(|kills| !kills.is_empty());
    if c.outcome == Outcome::Failed || killed || c.near_miss {
        verdict::remedies(&mut block, v);
    }
    block.list("evidence", evidence(c, v, used));
    verdict::not_seen(&mut block, v);
    container::rows(&mut block, c.container.as_ref(), &c.candidates);
    match (&c.cgroup.path, c.cgroup.id) {
        (Some(path), _) => block.row("cgroup", &printable(path)),
        (None, Some(id)) => block.row("cgroup", &format!("id {id}")),
        (None, None) => {}
    }
    block.row("process", &format!("{} (pid {})", printable(&c.comm), c.pid));
    if let Some(start) = &c.start {
        block.list("start", parts(start));
    }
    if let Some(memory) = &c.node {
        let seen = c.allocations.iter().any(|a| a.zone.is_some());
        node::row(&mut block, memory, !c.allocations.is_empty() && !seen);
    }
    block
}

/// The allocation that decided how it ended; of a near miss the one that it waited for longest.
pub(super) fn decisive(c: &Creation) -> Option<&Allocation> {
    if !c.near_miss {
        return verdict::decisive(&c.allocations);
    }
    if c.verdict.as_ref().is_some_and(|verdict| verdict.cause == Cause::MemcgLimit) {
        return None;
    }
    let waited = |a: &&Allocation| {
        matches!(a.outcome, AllocationOutcome::Recovered | AllocationOutcome::Unknown)
    };
    c.allocations.iter().filter(waited).max_by_key(|a| a.stall_us)
}

/// How it ended, who, and what.
pub(super) fn headline(c: &Creation) -> String {
    format!("{} {}: {}", mark(c.outcome), who(c), what(c))
}

/// The word that a report of this outcome begins with.
pub(super) fn mark(outcome: Outcome) -> String {
    match outcome {
        Outcome::Ok => paint(GREEN, "ok      "),
        Outcome::Stalled => paint(YELLOW, "stalled "),
        Outcome::Degraded => paint(YELLOW, "degraded"),
        Outcome::Failed => paint(RED, "FAILED  "),
    }
}

/// The container, else the cgroup, else the process.
fn who(c: &Creation) -> String {
    if let Some(who) = container::who(c.container.as_ref(), &c.candidates) {
        return who;
    }
    let last = c.cgroup.path.as_deref().and_then(|path| path.rsplit('/').find(|n| !n.is_empty()));
    match last {
        Some(name) => format!("cgroup {}", printable(name)),
        None => format!("{} (pid {})", printable(&c.comm), c.pid),
    }
}

/// What was done, and how it ended.
fn what(c: &Creation) -> String {
    let took = micros(c.duration_us);
    let step = match c.step {
        Step::Namespaces if c.namespaces.is_empty() || c.namespaces.contains(&"net") => {
            "network namespace".to_owned()
        }
        Step::Namespaces => format!("namespaces {}", c.namespaces.join(", ")),
        Step::Cgroup => "cgroup".to_owned(),
        Step::Fork => "fork".to_owned(),
        Step::Exec => "execution of a program".to_owned(),
        Step::Mount => "mount".to_owned(),
        Step::Link => "network link".to_owned(),
        Step::CgroupEntry => "entry into a cgroup".to_owned(),
        Step::Keyring => "session keyring".to_owned(),
        Step::Seccomp => "seccomp filter".to_owned(),
        Step::BpfProgram => "BPF program".to_owned(),
        Step::Allocation => {
            let asked = verdict::decisive(&c.allocations).and_then(|a| a.stack.first());
            let function = asked.map(|function| format!(" in {}", printable(function)));
            return format!("an allocation failed{}", function.unwrap_or_default());
        }
        Step::OomKill if c.killed => return "killed by the OOM killer while it started".to_owned(),
        Step::OomKill => return "started, after the OOM killer killed others for it".to_owned(),
    };
    let errno = c.errno.as_deref().unwrap_or("error");
    match c.outcome {
        Outcome::Ok => format!("{step}, {took}"),
        Outcome::Stalled => {
            format!("{step}, a near miss: made after {} of waiting for memory", micros(c.stall_us))
        }
        Outcome::Degraded => format!("{step}, made although memory was short, {took}"),
        Outcome::Failed if c.killed => format!("{step}, killed by the OOM killer after {took}"),
        // Of these only the end is seen.
        Outcome::Failed if c.duration_us == 0 => format!("{step}, {errno}"),
        Outcome::Failed => format!("{step}, {errno} after {took}"),
    }
}

fn subsystem(failed: &PernetInit) -> String {
    let init = failed.init.as_deref().unwrap_or("an unknown function");
    let module = failed.module.as_ref().map(|module| format!(" [{module}]")).unwrap_or_default();
    format!("{}, which returned {}", printable(&format!("{init}{module}")), failed.errno)
}

fn evidence(c: &Creation, v: &Verdict, used: usize) -> Vec<String> {
    let mut items: Vec<String> = v.because.iter().skip(used).map(|b| printable(b)).collect();
    let decisive = decisive(c);
    items.extend(allocation::items(&c.allocations, c.allocations_omitted, decisive, v.cause));
    // Where it called the allocator itself, it is among those that asked for the memory.
    let stack = decisive.map(|a| a.stack.as_slice()).unwrap_or_default();
    let elsewhere = |failed: &&PernetInit| {
        !stack.is_empty() && failed.init.as_ref().is_none_or(|init| !stack.contains(init))
    };
    items.extend(c.pernet_init.as_ref().filter(elsewhere).map(subsystem));
    items.extend(c.slab_caches.iter().filter(|cache| cache.failed).map(allocation::slab_cache));
    if let Some(reclaims) = &c.memcg_reclaims {
        items.push(format!(
            "{} was reclaimed {} times for its charges: {} freed, waited {}",
            reclaims.memcg.as_deref().map_or_else(|| "a memory cgroup".to_owned(), printable),
            reclaims.count,
            super::kib(reclaims.reclaimed_kib),
            micros(reclaims.stall_us)
        ));
    }
    // These verdicts name the charge themselves.
    if !matches!(v.cause, Cause::MemcgLimit | Cause::KmemLeak) {
        items.extend(c.charges_failed.iter().map(allocation::charge));
    }
    items.extend(allocation::oom_kills(c.oom_kills.as_deref().unwrap_or_default()));
    if v.cause != Cause::PidsLimit {
        items.extend(c.fork_refused.as_ref().map(allocation::fork_refused));
    }
    items
}

/// What else was seen of the same start.
fn parts(start: &Start) -> Vec<String> {
    /// Parts that are shown.
    const MAX: usize = 3;
    let mut parts: Vec<String> = start
        .parts
        .iter()
        .take(MAX)
        .map(|part| {
            let guess = if part.certain { "" } else { "a guess: " };
            let why = printable(&part.why);
            let before = micros(part.before_us);
            match part.what {
                "process" => format!("{guess}{why}"),
                what => format!("{what} made {before} before ({guess}{why})"),
            }
        })
        .collect();
    if start.parts.len() > MAX {
        parts.push(format!("{} more steps before", start.parts.len() - MAX));
    }
    parts
}
