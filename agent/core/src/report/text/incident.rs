//! Incidents, live and of logs.
use std::collections::VecDeque;

use super::{
    Block, DIM, RED, YELLOW, allocation, container, creation::mark, kib, node, paint, verdict,
};
use crate::{
    model::{allocation::Outcome, log_time::Wall},
    report::line::{
        incident::{Incident, LogPlace},
        memcg::{Memcg, OomKill},
        time::Time,
    },
    units::printable,
};

/// Meanings of a mask that are shown.
const MAX_READINGS: usize = 4;
/// Victims of the OOM killer in a headline.
const MAX_VICTIMS: usize = 3;
/// Kinds of incidents that are remembered.
const MAX_KINDS: usize = 64;

/// Incidents that were reported in full, and where in the log they were: one of the same kind is a
/// line.
#[derive(Default)]
pub(super) struct Repeats {
    reported: VecDeque<(String, String)>,
}

impl Repeats {
    /// Where one of this kind was reported in full; else this one is from now on.
    fn first(&mut self, kind: String, place: String) -> Option<&str> {
        if let Some(at) = self.reported.iter().position(|(known, _)| *known == kind) {
            return self.reported.get(at).map(|(_, first)| first.as_str());
        }
        if self.reported.len() == MAX_KINDS {
            self.reported.pop_front();
        }
        self.reported.push_back((kind, place));
        None
    }
}

/// One that was seen live.
pub(super) fn live(i: &Incident, time: &str) -> Block {
    let killed = killed(i);
    let mut block = Block::new(match &killed {
        Some(killed) => format!("{time} {killed}"),
        None => format!("{time} {} outside any creation, by {}", paint(DIM, "node    "), caller(i)),
    });
    let decisive = verdict::decisive(&i.allocations);
    let used = verdict::why(&mut block, &i.verdict, decisive);
    if let Some(by) = decisive.and_then(allocation::callers) {
        block.row("by", &by);
    }
    if killed.is_some() {
        verdict::remedies(&mut block, &i.verdict);
    }
    block.list("evidence", evidence(i, used));
    if let Some(memory) = &i.node {
        let seen = i.allocations.iter().any(|a| a.zone.is_some());
        node::row(&mut block, memory, !i.allocations.is_empty() && !seen);
    }
    block
}

/// The process that asked for memory.
fn caller(i: &Incident) -> String {
    let comm = i.comm.as_deref().unwrap_or("a process");
    format!("{} (pid {})", printable(comm), i.pid.unwrap_or_default())
}

/// What the OOM killer did, and for which process; `None` if it killed nothing.
pub(super) fn killed(i: &Incident) -> Option<String> {
    let victims = victims(i.oom_kills.as_deref().unwrap_or_default())?;
    let word = paint(RED, "KILLED  ");
    Some(format!("{word} {victims}: by the OOM killer, for memory that {} asked for", caller(i)))
}

/// The victims of the OOM killer: containers first, each once.
fn victims(kills: &[OomKill]) -> Option<String> {
    let victims: Vec<&OomKill> = kills.iter().filter(|kill| kill.pid.is_some()).collect();
    let mut names: Vec<String> = Vec::new();
    let of_containers = victims.iter().filter_map(|kill| kill.container.as_ref());
    let others = victims.iter().filter(|kill| kill.container.is_none());
    let others = others.map(|kill| printable(kill.comm.as_deref().unwrap_or("a process")));
    for name in of_containers.map(container::label).chain(others) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(MAX_VICTIMS);
    names.truncate(MAX_VICTIMS);
    let names = names.join(", ");
    let processes = match victims.len() {
        0 => return None,
        1 => String::new(),
        processes => format!(" ({processes} processes)"),
    };
    Some(if more == 0 {
        format!("{names}{processes}")
    } else {
        format!("{names} and {more} more{processes}")
    })
}

/// One of a log, in a line if one of its kind was reported before.
pub(super) fn of_log(i: &Incident, log: &LogPlace, repeats: &mut Repeats) -> Block {
    let place = place(i, log);
    if let Some(kind) = kind(i, log)
        && let Some(first) = repeats.first(kind, numbers(log.lines))
    {
        let (again, why) = (paint(YELLOW, "again   "), verdict::short(&i.verdict));
        return Block::new(format!("{again} {}: {why}, as in {first}; {place}", subject(i)));
    }
    let mut block = Block::new(format!("{} {}", mark(i.outcome), subject(i)));
    let decisive = verdict::decisive(&i.allocations);
    let used = verdict::why(&mut block, &i.verdict, decisive);
    if let Some(by) = decisive.and_then(allocation::callers) {
        block.row("by", &by);
    }
    verdict::remedies(&mut block, &i.verdict);
    block.list("evidence", evidence(i, used));
    for reading in log.gfp_readings.iter().take(MAX_READINGS) {
        let flags = reading.gfp.flags.as_deref().unwrap_or("not known");
        block.row("gfp if", &printable(&format!("Linux {}: {flags}", reading.kernels)));
    }
    verdict::not_seen(&mut block, &i.verdict);
    container::rows(&mut block, i.container.as_ref(), &[]);
    if let Some(path) = i.cgroup.as_ref().and_then(|cgroup| cgroup.path.as_ref()) {
        block.row("cgroup", &printable(path));
    }
    block.row(
        "kernel",
        &printable(i.kernel.as_deref().unwrap_or("not in the log; --kernel names it")),
    );
    block.row("where", &place);
    for part in &log.also_in {
        let lines = numbers(part.lines);
        block.row("also in", &format!("{}, {lines}", name(&part.file)));
    }
    for message in &log.messages {
        let program = message.program.as_deref().map(|name| format!("{}: ", printable(name)));
        block.row(
            "message",
            &format!("{}{}", program.unwrap_or_default(), printable(&message.said)),
        );
    }
    block
}

fn evidence(i: &Incident, used: usize) -> Vec<String> {
    let mut items: Vec<String> =
        i.verdict.because.iter().skip(used).map(|b| printable(b)).collect();
    items.extend(allocation::items(
        &i.allocations,
        0,
        verdict::decisive(&i.allocations),
        i.verdict.cause,
    ));
    items.extend(i.vmalloc.iter().map(allocation::vmalloc));
    items.extend(i.slab_failures.iter().map(allocation::slab_failure));
    items.extend(i.slab_caches.iter().map(allocation::slab_cache));
    items.extend(allocation::oom_kills(i.oom_kills.as_deref().unwrap_or_default()));
    // The verdict may have said it in the same words.
    let said = i.verdict.because.iter().any(|because| because.starts_with("it used "));
    let memcg = i.memcg.as_ref().filter(|memcg| !said || memcg.held_kib.is_some());
    items.extend(memcg.and_then(self::memcg));
    items.extend(i.fork_refused.as_ref().map(allocation::fork_refused));
    items
}

/// What incidents have in common of which one is reported in full. A container that failed always
/// is.
fn kind(i: &Incident, log: &LogPlace) -> Option<String> {
    let asked: Vec<_> =
        i.allocations.iter().map(|a| (a.order, a.gfp.raw.as_str(), a.outcome)).collect();
    let slabs: Vec<_> = i.slab_failures.iter().map(|slab| slab.name.as_deref()).collect();
    let caches: Vec<_> = i.slab_caches.iter().map(|cache| cache.name.as_str()).collect();
    let kills = i.oom_kills.iter().flatten();
    let killed: Vec<_> = kills.map(|kill| kill.comm.as_deref()).collect();
    let vmalloc: Vec<_> = i.vmalloc.iter().map(|failed| failed.bytes).collect();
    let refused = i.fork_refused.as_ref().map(|refused| refused.cgroup.as_deref());
    let percpu = i.percpu.as_ref().map(|failed| (failed.bytes, failed.reason.as_str()));
    let hung = i.hung.as_ref().map(|hung| hung.waits_in);
    let memcg = i.memcg.as_ref().and_then(|memcg| memcg.path.as_deref());
    let cgroup = i.cgroup.as_ref().and_then(|cgroup| cgroup.path.as_deref());
    let whose = (&log.file, &log.host, &i.kernel, &i.comm, cgroup, memcg);
    let verdict = (i.verdict.cause, i.verdict.confidence);
    let refusals = (refused, percpu, hung);
    log.messages
        .is_empty()
        .then(|| format!("{:?}", (whose, verdict, asked, slabs, caches, killed, vmalloc, refusals)))
}

/// Who, and what happened.
fn subject(i: &Incident) -> String {
    let pid = i.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let who =
        i.comm.as_deref().map(|comm| format!(" by {}{pid}", printable(comm))).unwrap_or_default();
    let is_container = i.log.as_ref().is_some_and(|log| !log.messages.is_empty());
    if is_container {
        let container = i.container.as_ref();
        let label = container.map_or_else(|| "unnamed container".to_owned(), container::label);
        return match i.allocations.last() {
            Some(a) => format!("{label}: order-{} allocation{who}", a.order),
            None => format!("{label}: did not start"),
        };
    }
    let kill = i.oom_kills.iter().flatten().next();
    if let Some(kill) = kill {
        let scope = match kill.scope {
            Some("node") => " on the node",
            Some(_) => " in a memory cgroup",
            None => "",
        };
        format!("OOM killer called{who}{scope}")
    } else if !i.vmalloc.is_empty() {
        format!("vmalloc{who}")
    } else if i.fork_refused.is_some() {
        "fork refused".to_owned()
    } else if i.percpu.is_some() {
        format!("per-CPU allocation{who}")
    } else if let Some(hung) = &i.hung {
        format!("task hangs{who} for {} s", hung.seconds)
    } else if let Some(a) = i
        .allocations
        .iter()
        .rfind(|a| a.zones_complete.is_some() || a.outcome == Outcome::Recovered)
    {
        format!("order-{} allocation{who}", a.order)
    } else if !i.slab_failures.is_empty() {
        "slab cache got no pages".to_owned()
    } else if !i.slab_caches.is_empty() {
        format!("slab cache not created{who}")
    } else {
        format!("failure{who}")
    }
}

/// A log's name for people.
fn name(file: &str) -> String {
    if file == "-" { "standard input".to_owned() } else { printable(file) }
}

fn numbers([first, last]: [u64; 2]) -> String {
    if first == last { format!("line {first}") } else { format!("lines {first} to {last}") }
}

/// Where in the log, when, and on which host.
fn place(i: &Incident, log: &LogPlace) -> String {
    let file = name(&log.file);
    let time = i.time.map(wall).or_else(|| {
        log.boot_us.map(|boot| format!("{}.{:06} s after boot", boot / 1_000_000, boot % 1_000_000))
    });
    let time = time.map(|time| format!(", {time}")).unwrap_or_default();
    let host = log.host.as_deref().map(|host| format!(", {}", printable(host))).unwrap_or_default();
    format!("{file}, {}{time}{host}", numbers(log.lines))
}

/// The time of day for people: with the month's name where there is no year.
fn wall(time: Time) -> String {
    match time.0 {
        Wall::Yearless { month, day, time: of_day } => {
            // Only to have the month's name: any leap year has the day.
            match jiff::civil::Date::new(2000, month, day) {
                Ok(date) => date.to_datetime(of_day).strftime("%b %e %H:%M:%S").to_string(),
                Err(_) => time.to_string(),
            }
        }
        Wall::Timestamp(_) | Wall::Civil(_) => time.to_string(),
    }
}

fn memcg(memcg: &Memcg) -> Option<String> {
    let usage = memcg.usage_kib?;
    let limit = memcg.limit_kib.map_or_else(|| "no limit".to_owned(), kib);
    let kernel = memcg.kmem_usage_kib.map(|kmem| format!(", {} by the kernel for it", kib(kmem)));
    let held = memcg.held_kib.map(|held| format!(", {} by tasks and page cache", kib(held)));
    let path = memcg.path.as_deref().map_or_else(|| "a memory cgroup".to_owned(), printable);
    Some(format!(
        "{path} used {} of {limit}{}{}",
        kib(usage),
        kernel.unwrap_or_default(),
        held.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn victims_are_named_once_and_containers_first() {
        let kill = |pid: u32, comm: &str, container: Option<&str>| OomKill {
            pid: Some(pid),
            comm: Some(comm.to_owned()),
            cgroup: None,
            container: container.map(|name| crate::report::line::container::Container {
                runtime: Some("runc".to_owned()),
                id: None,
                pod_uid: None,
                pod: None,
                namespace: None,
                name: Some(name.to_owned()),
                named_by: None,
            }),
            order: Some(1),
            gfp: None,
            scope: Some("node"),
            memcg: None,
            page_fault: false,
        };
        assert_eq!(victims(&[]), None);
        let one = victims(&[kill(7, "java", Some("web"))]);
        assert_eq!(one.as_deref(), Some("runc web"));
        let several = victims(&[
            kill(6, "cron\n", None),
            kill(7, "java", Some("web")),
            kill(8, "java", Some("web")),
        ]);
        assert_eq!(several.as_deref(), Some("runc web, cron\\n (3 processes)"));
        let many: Vec<OomKill> = (1..6).map(|pid| kill(pid, &pid.to_string(), None)).collect();
        assert_eq!(victims(&many).as_deref(), Some("1, 2, 3 and 2 more (5 processes)"));
    }

    #[test]
    fn only_so_many_kinds_are_remembered() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.first("a".to_owned(), "line 1".to_owned()), None);
        assert_eq!(repeats.first("a".to_owned(), "line 2".to_owned()), Some("line 1"));
        for at in 0..MAX_KINDS {
            assert_eq!(repeats.first(at.to_string(), String::new()), None);
        }
        assert_eq!(repeats.first("a".to_owned(), "line 3".to_owned()), None);
    }
}
