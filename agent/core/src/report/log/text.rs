//! Incidents of logs for people: what happened, why, and what to do, top to bottom.
use std::{
    collections::VecDeque,
    io::{self, Write},
};

use crate::{
    model::{
        allocation::Outcome,
        errno,
        event::OomScope,
        incident::{Incident, LogSource},
        memcg::MemcgState,
        slab::SlabFailed,
        vmalloc::VmallocFailed,
    },
    report::{
        log::{LogReport, LogSummary, ReportedLog, outcome, wall_for_people},
        text::{
            BOLD, RED, YELLOW, allocation_lines, labelled, oom_kill, paint, remedy_lines,
            verdict_lines,
        },
    },
    units::{bytes, printable},
};

/// Readings of a mask that are shown.
const MAX_READINGS: usize = 4;

/// Kinds of incidents remembered.
const MAX_KINDS: usize = 64;

/// The report for people. What comes again is told in a line. Styles are written always; `out` strips them where they don't belong.
pub struct LogText<W> {
    out: W,
    /// What was told at length, and where in the log it was.
    told: VecDeque<(String, String)>,
}

impl<W: Write> LogText<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, told: VecDeque::new() }
    }

    /// Writes lines as one piece, so that nothing of another program comes between them.
    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = lines.join("\n");
        text.push('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> LogReport for LogText<W> {
    fn incident(&mut self, told: ReportedLog) -> io::Result<()> {
        let i = told.what;
        if let Some(kind) = kind(told) {
            if let Some((_, first)) = self.told.iter().find(|(known, _)| *known == kind) {
                let again = again(told, first);
                return self.write(&[again]);
            }
            if self.told.len() == MAX_KINDS {
                self.told.pop_front();
            }
            self.told.push_back((kind, line_numbers(i)));
        }
        let mut lines = vec![headline(i)];
        lines.push(labelled("where", &place(told.file, i)));
        lines.push(labelled(
            "kernel",
            &printable(i.kernel.as_ref().map_or("not said", |kernel| kernel.as_str())),
        ));
        container(i, &mut lines);
        for failure in &i.messages {
            let who = failure.program.as_deref().map(|name| format!("{}: ", printable(name)));
            lines.push(labelled(
                "message",
                &format!("{}{}", who.unwrap_or_default(), printable(&failure.said)),
            ));
        }
        for allocation in &i.allocations {
            allocation_lines(allocation, i.page_size, &mut lines);
        }
        for reading in log(i).readings.iter().take(MAX_READINGS) {
            let releases = &reading.releases;
            let flags = reading.gfp.flags.as_deref().unwrap_or("not known");
            lines.push(labelled("gfp if", &format!("{flags} (Linux {releases})")));
        }
        lines.extend(i.vmalloc.iter().map(vmalloc));
        lines.extend(i.slab_failures.iter().map(slab_failed));
        for cache in &i.slab_caches {
            let errno = cache.errno.map(|number| format!(" ({})", errno::name(number)));
            let text =
                format!("not created: {}{}", printable(&cache.name), errno.unwrap_or_default());
            lines.push(labelled("slab cache", &text));
        }
        lines.extend(i.oom_kills.iter().filter(|kill| kill.comm.is_some()).map(oom_kill));
        lines.extend(i.memcg.as_ref().and_then(memcg));
        lines.extend(i.fork_refused.as_ref().map(crate::report::step::fork_refused));
        verdict_lines(told.verdict, &mut lines);
        remedy_lines(told.verdict, &mut lines);
        self.write(&lines)
    }

    fn summary(&mut self, s: &LogSummary) -> io::Result<()> {
        let read = &s.read;
        let of = format!(
            "{} {} ({} lines)",
            s.files,
            if s.files == 1 { "log" } else { "logs" },
            read.lines
        );
        let mut lines = if s.incidents == 0 {
            vec![format!("{} in {of}", paint(BOLD, "nothing found"))]
        } else {
            let count = if s.incidents == 1 {
                "1 incident".to_owned()
            } else {
                format!("{} incidents", s.incidents)
            };
            vec![format!("{} in {of}", paint(BOLD, &count))]
        };
        lines.extend(s.causes.iter().map(|(cause, n)| labelled(&n.to_string(), cause.name())));
        let mut skipped = |count: u64, one: &str, more: &str| {
            if count != 0 {
                let what = if count == 1 { one } else { more };
                lines.push(labelled(&count.to_string(), what));
            }
        };
        let unread = "could not be read, or not to the end";
        skipped(s.unread, unread, unread);
        skipped(
            s.without_beginning,
            "report left out: its beginning is not in the log",
            "reports left out: their beginning is not in the log",
        );
        skipped(s.binary, "looks like anything but a log", "look like anything but a log");
        skipped(read.cut_lines, "line cut: it is too long", "lines cut: they are too long");
        skipped(
            read.undecodable_lines,
            "line with bytes that are no UTF-8",
            "lines with bytes that are no UTF-8",
        );
        if read.compressed_tail_lost {
            lines.push(labelled("skipped", "the end of compressed data: it is cut or damaged"));
        }
        self.write(&lines)
    }
}

/// What incidents have in common of which one is told at length. A container that failed is always.
fn kind(told: ReportedLog) -> Option<String> {
    let i = told.what;
    let asked: Vec<_> = i.allocations.iter().map(|a| (a.order, a.gfp.raw, a.outcome)).collect();
    let slabs: Vec<_> = i.slab_failures.iter().map(|slab| slab.cache.as_deref()).collect();
    let caches: Vec<_> = i.slab_caches.iter().map(|cache| cache.name.as_str()).collect();
    let killed: Vec<_> = i.oom_kills.iter().map(|kill| kill.comm.as_deref()).collect();
    let vmalloc: Vec<_> = i.vmalloc.iter().map(|failed| failed.bytes).collect();
    let refused = i.fork_refused.as_ref().map(|refused| refused.cgroup.as_deref());
    let memcg = i.memcg.as_ref().and_then(|memcg| memcg.path.as_deref());
    let whose = (told.file, &log(i).host, &i.kernel, &i.comm, &i.cgroup, memcg);
    let verdict = (told.verdict.cause, told.verdict.confidence);
    i.messages
        .is_empty()
        .then(|| format!("{:?}", (whose, verdict, asked, slabs, caches, killed, vmalloc, refused)))
}

/// An incident of which one was told at length before.
fn again(told: ReportedLog, first: &str) -> String {
    format!(
        "{} {}: {} (confidence {}), as in {first}; {}",
        paint(YELLOW, "again   "),
        subject(told.what),
        told.verdict.cause.name(),
        told.verdict.confidence.name(),
        place(told.file, told.what)
    )
}

/// What happened, in a line.
fn headline(i: &Incident) -> String {
    let mark = match outcome(i) {
        "failed" => paint(RED, "FAILED  "),
        other => paint(YELLOW, &format!("{other:<8}")),
    };
    format!("{mark} {}", subject(i))
}

fn subject(i: &Incident) -> String {
    let pid = i.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let who =
        i.comm.as_deref().map(|comm| format!(" by {}{pid}", printable(comm))).unwrap_or_default();
    if !i.messages.is_empty() {
        let id = i.container.as_ref().and_then(|found| found.id.clone());
        let id = id.map(|id| format!(" {}", id.get(..12).unwrap_or(&id))).unwrap_or_default();
        match i.allocations.last() {
            Some(a) => format!("container{id}: order-{} allocation{who}", a.order),
            None => format!("container{id} did not start"),
        }
    } else if let Some(oom) = i.oom_kills.first() {
        let of = match &oom.scope {
            OomScope::Memcg(_) => " in a memory cgroup",
            OomScope::Node => " on the node",
            OomScope::Unknown => "",
        };
        format!("OOM killer called{who}{of}")
    } else if !i.vmalloc.is_empty() {
        format!("vmalloc{who}")
    } else if i.fork_refused.is_some() {
        "fork refused".to_owned()
    } else if let Some(a) =
        i.allocations.iter().rev().find(|a| a.failure.is_some() || a.outcome == Outcome::Recovered)
    {
        format!("order-{} allocation{who}", a.order)
    } else if !i.slab_failures.is_empty() {
        "slab cache got no pages".to_owned()
    } else {
        format!("slab cache not created{who}")
    }
}

/// Where it was found; a live incident is reported elsewhere.
fn log(i: &Incident) -> LogSource {
    i.log().cloned().unwrap_or_default()
}

fn line_numbers(i: &Incident) -> String {
    if log(i).lines.0 == log(i).lines.1 {
        format!("line {}", log(i).lines.0)
    } else {
        format!("lines {} to {}", log(i).lines.0, log(i).lines.1)
    }
}

fn place(file: &str, i: &Incident) -> String {
    let file = if file == "-" { "standard input".to_owned() } else { printable(file) };
    let lines = line_numbers(i);
    let time = log(i).time.as_ref().and_then(|time| {
        wall_for_people(time)
            .or_else(|| time.boot.map(|boot| format!("{:.6} s after boot", boot.as_secs_f64())))
    });
    let host = log(i).host.as_deref().map(|host| format!(", {}", printable(host)));
    format!(
        "{file}, {lines}{}{}",
        time.map(|time| format!(", {time}")).unwrap_or_default(),
        host.unwrap_or_default()
    )
}

fn container(i: &Incident, lines: &mut Vec<String>) {
    if let Some(found) = i.container.clone() {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(found.id.map(|id| printable(&id)));
        parts.extend(found.pod.map(|pod| format!("pod {}", printable(&pod))));
        parts.extend(
            found.namespace.map(|namespace| format!("namespace {}", printable(&namespace))),
        );
        parts.extend(found.pod_uid.map(|uid| format!("pod uid {}", printable(&uid))));
        lines.push(labelled("container", &parts.join(", ")));
    }
    if let Some(path) = &i.cgroup {
        lines.push(labelled("cgroup", &printable(&path.display())));
    }
}

fn vmalloc(failed: &VmallocFailed) -> String {
    let amount = failed.bytes.map_or_else(|| "not said how much".to_owned(), bytes);
    let gfp = failed.gfp.as_ref().map(|gfp| match &gfp.flags {
        Some(flags) => format!(", {} ({:#x})", printable(flags), gfp.raw),
        None => format!(", gfp {:#x}", gfp.raw),
    });
    labelled("vmalloc", &format!("{amount} failed{}", gfp.unwrap_or_default()))
}

fn slab_failed(slab: &SlabFailed) -> String {
    let name = slab.cache.as_deref().map_or_else(|| "not named".to_owned(), printable);
    let order = slab.min_order.map(|order| format!(", order {order} would do")).unwrap_or_default();
    let times = if slab.times > 1 { format!(", {} times", slab.times) } else { String::new() };
    labelled("slab cache", &format!("got no pages: {name}{order}{times}"))
}

fn memcg(memcg: &MemcgState) -> Option<String> {
    let usage = memcg.usage?;
    let limit = memcg.limit.map_or_else(|| "no limit".to_owned(), bytes);
    let kernel = memcg.kmem_usage.map(|kmem| format!(", {} by the kernel for it", bytes(kmem)));
    let held = memcg.held.map(|held| format!(", {} by tasks and page cache", bytes(held)));
    let path = memcg.path.as_deref().map_or_else(|| "a memory cgroup".to_owned(), printable);
    Some(labelled(
        "memcg",
        &format!(
            "{path} used {} of {limit}{}{}",
            bytes(usage),
            kernel.unwrap_or_default(),
            held.unwrap_or_default()
        ),
    ))
}
