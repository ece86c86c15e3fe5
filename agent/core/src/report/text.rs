//! The report for people: what happened, on what evidence, and what to do, top to bottom.
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    attribution::late::LateAttribution,
    model::{
        allocation::{Allocation, Outcome as AllocationOutcome},
        call_site, errno,
        event::{ChargeFailed, OomKill, OomScope},
        frame::Frame,
        hook::State,
        incident::Incident,
        loss::Loss,
        step::{CreationStep, Outcome, StepKind},
        verdict::Verdict,
        zone::{self, Zone},
    },
    report::{Ready, Report, Reported, Summary, attribution, node, step},
    units::{bytes, duration, printable},
};

/// Width of the column of labels.
const LABEL: usize = 12;

/// The report for people. Styles are written always; `out` strips them where they don't belong.
pub struct Text<W> {
    out: W,
    page_size: u64,
    zone: TimeZone,
}

/// Failures.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Good news.
pub const GREEN: Style = AnsiColor::Green.on_default();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// Text in a style, which is reset behind it.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

impl<W: Write> Text<W> {
    /// Writes to `out`; `page_size` in bytes; times of day in `zone`.
    pub fn new(out: W, page_size: u64, zone: TimeZone) -> Self {
        Self { out, page_size, zone }
    }

    fn clock(&self, time: Timestamp) -> String {
        time.to_zoned(self.zone.clone()).strftime("%H:%M:%S%.3f").to_string()
    }

    /// Writes lines as one piece, so that nothing of another program comes between them.
    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = lines.join("\n");
        text.push('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// An allocation with what asked for it and what the zones had.
pub(super) fn allocation_lines(a: &Allocation, page_size: u64, lines: &mut Vec<String>) {
    let size = page_size.checked_shl(a.order).map_or_else(|| "?".to_owned(), bytes);
    let outcome = match a.outcome {
        AllocationOutcome::Failed => paint(RED, "failed"),
        AllocationOutcome::FellBack => paint(YELLOW, "failed, survived"),
        AllocationOutcome::Recovered => "stalled".to_owned(),
        AllocationOutcome::CalledOomKiller => paint(RED, "called the OOM killer"),
        AllocationOutcome::Unknown => "made room, its outcome not seen".to_owned(),
    };
    let gfp = match &a.gfp.flags {
        Some(flags) => format!("{} ({:#x})", printable(flags), a.gfp.raw),
        None => format!("gfp {:#x}", a.gfp.raw),
    };
    let waited = match a.stall_ns {
        0 => String::new(),
        ns => format!(", waited {}", duration(ns)),
    };
    let text = format!("order {} ({size}) {outcome}, {gfp}{waited}", a.order);
    lines.push(labelled("allocation", &text));
    let Some(failure) = &a.failure else { return };
    let callers = call_site::callers(&failure.stack);
    if !callers.is_empty() {
        let names: Vec<String> = callers.iter().map(place).collect();
        lines.push(labelled("asked by", &printable(&names.join(" < "))));
    }
    if let Some(zone) = zone::most_relevant(&failure.zones, a.order) {
        lines.push(labelled("memory", &printable(&free(zone, a.order, page_size))));
        if !zone.blocks.is_empty() {
            lines.push(labelled("free blocks", &blocks(zone)));
        }
    }
}

fn free(zone: &Zone, order: u32, page_size: u64) -> String {
    let largest = match zone.largest_order() {
        _ if zone.blocks.is_empty() => "free blocks not seen".to_owned(),
        Some(largest) => {
            let size = page_size.checked_shl(largest).map_or_else(|| "?".to_owned(), bytes);
            format!("largest block {size}")
        }
        None => "no free block".to_owned(),
    };
    let index = zone
        .fragmentation_index(order)
        .map(|index| format!(", fragmentation index {index:.3}"))
        .unwrap_or_default();
    let free = bytes(zone.free.saturating_mul(page_size));
    format!("{}: {free} free, {largest}{index}", zone.label())
}

/// Why, and on what evidence.
pub(super) fn verdict_lines(v: &Verdict, lines: &mut Vec<String>) {
    let cause = paint(BOLD, &v.cause.name().to_uppercase());
    lines.push(labelled("why", &format!("{cause} (confidence {})", v.confidence.name())));
    lines.extend(v.because.iter().map(|b| labelled("", &format!("- {}", printable(b)))));
    lines.extend(v.not_seen.iter().map(|n| labelled("not seen", &printable(n))));
}

/// What to do.
pub(super) fn remedy_lines(v: &Verdict, lines: &mut Vec<String>) {
    for remedy in &v.remedies {
        let label = if remedy.durable { "to last" } else { "do now" };
        lines.push(labelled(label, remedy.title));
        lines.push(labelled("", &paint(BOLD, remedy.command)));
        lines.push(labelled("", &paint(DIM, &format!("price: {}", remedy.risk))));
    }
    lines.extend(v.no_help.iter().map(|what| labelled("won't help", what)));
}

/// A label in its column, and text beside it. Without a label the text goes on from above.
pub fn labelled(label: &str, text: &str) -> String {
    format!("  {} {text}", paint(DIM, &format!("{label:<LABEL$}")))
}

fn place(frame: &Frame) -> String {
    let name = frame.function.clone().unwrap_or_else(|| format!("{:#x}", frame.address));
    match &frame.module {
        Some(module) => format!("{name} [{module}]"),
        None => name,
    }
}

fn blocks(zone: &Zone) -> String {
    let counts = zone.blocks.iter().enumerate().filter(|&(_, &n)| n != 0);
    let text: Vec<String> = counts.map(|(order, n)| format!("{n} of order {order}")).collect();
    if text.is_empty() { "none".to_owned() } else { text.join(", ") }
}

pub(super) fn charge(charge: &ChargeFailed) -> String {
    let amount = charge.bytes.map_or_else(|| "kernel memory".to_owned(), bytes);
    let memcg = charge.memcg.as_deref().unwrap_or("a memory cgroup");
    let full = match (charge.usage, charge.limit) {
        (Some(usage), Some(limit)) => {
            format!(", which used {} of {}", bytes(usage), bytes(limit))
        }
        _ => String::new(),
    };
    let errno = errno::name(charge.errno);
    labelled("charge", &format!("{amount} refused ({errno}) by {}{full}", printable(memcg)))
}

pub(super) fn oom_kill(kill: &OomKill) -> String {
    let pid = kill.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let order = kill.order.map(|order| format!(", for order {order}")).unwrap_or_default();
    let whose = match &kill.scope {
        OomScope::Node => ", of the node's memory".to_owned(),
        OomScope::Memcg(Some(path)) => format!(", of memory cgroup {}", printable(path)),
        OomScope::Memcg(None) => ", of a memory cgroup".to_owned(),
        OomScope::Unknown => String::new(),
    };
    labelled(
        "OOM kill",
        &format!("{}{pid}{order}{whose}", printable(kill.comm.as_deref().unwrap_or("no process"))),
    )
}

impl<W: Write> Report for Text<W> {
    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        let there = ready.hooks.iter().filter(|h| h.state != State::Missing).count();
        let mut lines = vec![format!(
            "fragwatch {} on Linux {}: watching with {there} of {} hooks; Ctrl-C ends",
            env!("CARGO_PKG_VERSION"),
            printable(&ready.kernel),
            ready.hooks.len()
        )];
        for hook in &ready.hooks {
            let via = hook.via.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            let mark = match hook.state {
                State::Attached => paint(GREEN, "attached"),
                State::Fallback => paint(GREEN, "fallback"),
                State::Missing => paint(RED, "missing "),
            };
            lines.push(format!("  {mark} {:<18} {via}", hook.hook.name()));
            if let Some(lost) = &hook.not_seen {
                lines.push(format!("    not seen: {lost}"));
            }
            if hook.state != State::Attached
                && let Some(why) = &hook.why
            {
                lines.push(paint(DIM, &format!("    because {why}")));
            }
        }
        lines.extend(ready.not_seen.iter().map(|n| format!("  not seen: {}", printable(n))));
        self.write(&lines)
    }

    fn creation(&mut self, told: Reported<CreationStep>) -> io::Result<()> {
        let c = told.what;
        let took = duration(c.ended_ns.saturating_sub(c.began_ns));
        let errno = c.errno.map(errno::name).unwrap_or_default();
        let (mark, what) = match c.outcome() {
            Outcome::Degraded if matches!(c.kind, StepKind::OomKill { .. }) => {
                (paint(YELLOW, "degraded"), String::new())
            }
            Outcome::Failed if matches!(c.kind, StepKind::Fork(_)) => {
                (paint(RED, "FAILED  "), format!(" with {errno}"))
            }
            Outcome::Ok => (paint(GREEN, "ok      "), format!(" in {took}")),
            Outcome::Stalled => (paint(YELLOW, "stalled "), format!(" in {took}")),
            Outcome::Degraded => (paint(YELLOW, "degraded"), format!(" in {took}")),
            Outcome::Failed if c.killed => (paint(RED, "FAILED  "), " was killed".to_owned()),
            Outcome::Failed => (paint(RED, "FAILED  "), format!(" with {errno} after {took}")),
        };
        let who = attribution::headline(c);
        let mut lines = vec![format!(
            "{} {mark} {who}{} by {} (pid {}){what}",
            self.clock(told.time),
            step::what(c),
            printable(&c.task.comm),
            c.task.pid
        )];
        let Some(verdict) = told.verdict else { return self.write(&lines) };
        if c.continues().is_some() {
            // All else was told with the first one.
            lines.extend(c.oom_kills.iter().map(oom_kill));
            lines.push(labelled("why", &format!("{} again", verdict.cause.name())));
            return self.write(&lines);
        }
        lines.extend(attribution::lines(c.container.as_ref(), &c.candidates));
        match &c.cgroup {
            Some(path) => lines.push(labelled("cgroup", &printable(&path.display()))),
            None => lines.push(labelled("cgroup", &format!("id {}", c.task.cgroup_id))),
        }
        if let Some(failed) = c.pernet_init() {
            let name = failed.init.as_ref().map_or_else(|| "unknown".to_owned(), place);
            let text = format!("{name} returned {}", errno::name(failed.errno));
            lines.push(labelled("subsystem", &text));
        }
        for cache in c.slab_caches.iter().filter(|cache| cache.failed) {
            let text =
                format!("{} ({} bytes an object)", printable(&cache.name), cache.size.unwrap_or(0));
            lines.push(labelled("slab cache", &format!("not created: {text}")));
        }
        if c.allocations_omitted != 0 {
            let text = format!("{} earlier ones are left out", c.allocations_omitted);
            lines.push(labelled("allocations", &text));
        }
        for allocation in &c.allocations {
            allocation_lines(allocation, self.page_size, &mut lines);
        }
        if let Some(reclaims) = c.memcg_reclaims {
            let freed = bytes(reclaims.reclaimed.saturating_mul(self.page_size));
            let waited = duration(reclaims.stall_ns);
            let text =
                format!("reclaimed {} times, {freed} freed, waited {waited}", reclaims.count);
            lines.push(labelled("its memcg", &text));
        }
        lines.extend(c.charges.iter().map(charge));
        lines.extend(c.oom_kills.iter().map(oom_kill));
        lines.extend(c.fork_refused().map(step::fork_refused));
        lines.extend(c.start.as_ref().map(|start| step::parts(start, c.ended_ns)));
        if let Some(reading) = told.node {
            lines.extend(node::text(reading, self.page_size));
        }
        verdict_lines(verdict, &mut lines);
        if c.outcome() == Outcome::Failed || !c.oom_kills.is_empty() {
            remedy_lines(verdict, &mut lines);
        }
        self.write(&lines)
    }

    fn owner(&mut self, ended: Timestamp, owner: &LateAttribution) -> io::Result<()> {
        let mut lines = vec![format!(
            "{} {} what {} (pid {}) did then was {}",
            self.clock(ended),
            paint(DIM, "named   "),
            printable(&owner.task.comm),
            owner.task.pid,
            attribution::whose(owner.container.as_ref(), &owner.candidates)
        )];
        lines.extend(attribution::lines(owner.container.as_ref(), &owner.candidates));
        self.write(&lines)
    }

    fn incident(&mut self, told: Reported<Incident>) -> io::Result<()> {
        let i = told.what;
        let mut lines = vec![format!(
            "{} {} outside any creation, by {} (pid {})",
            self.clock(told.time),
            paint(DIM, "node    "),
            printable(i.comm.as_deref().unwrap_or("?")),
            i.pid.unwrap_or(0)
        )];
        for allocation in &i.allocations {
            allocation_lines(allocation, self.page_size, &mut lines);
        }
        lines.extend(i.oom_kills.iter().map(oom_kill));
        lines.extend(i.fork_refused.as_ref().map(step::fork_refused));
        if let Some(reading) = told.node {
            lines.extend(node::text(reading, self.page_size));
        }
        if let Some(v) = told.verdict {
            let text = format!("{} (confidence {})", v.cause.name(), v.confidence.name());
            lines.push(labelled("why", &text));
        }
        self.write(&lines)
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        let text = format!(
            "lost so far: {} events of creations, {} other events, {} cgroups, {} creations not \
             followed, {} returns not seen, {} runs of a program skipped",
            loss.creation_events,
            loss.other_events,
            loss.cgroup_events,
            loss.untracked_creations,
            loss.unseen_returns,
            loss.missed_runs
        );
        self.write(&[paint(YELLOW, &text)])
    }

    fn summary(&mut self, s: &Summary) -> io::Result<()> {
        let creations = s.ok + s.stalled + s.degraded + s.failed;
        let mut lines = vec![format!(
            "{}: {} failed, {} degraded, {} stalled, {} ok; lost {}",
            paint(BOLD, &format!("{creations} creations")),
            s.failed,
            s.degraded,
            s.stalled,
            s.ok,
            s.loss.total()
        )];
        for (cause, count) in &s.causes {
            lines.push(labelled(&count.to_string(), cause.name()));
        }
        if s.unfinished != 0 {
            lines.push(labelled(&s.unfinished.to_string(), "began, and were not seen to end"));
        }
        if s.incidents_omitted != 0 {
            let text = "incidents outside creations are left out: too many at once";
            lines.push(labelled(&s.incidents_omitted.to_string(), text));
        }
        if let Some(o) = &s.outside {
            let failures = match o.failures {
                Some(failures) => {
                    format!("{failures} failed allocations (with a fallback or without)")
                }
                None => "failed allocations not seen".to_owned(),
            };
            lines.push(labelled(
                "outside",
                &format!(
                    "{} slow paths, {failures}, {} compactions, {} reclaims",
                    o.slow_paths, o.compactions, o.reclaims
                ),
            ));
        }
        self.write(&lines)
    }
}
