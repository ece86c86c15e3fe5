//! The report for people: whether it works, what to do, and then all that was found.
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use fragwatch_core::{
    model::hook::{HookStatus, State},
    units::{bytes, printable},
};

use crate::{
    doctor::{BtfFound, Checkup, DoctorStatus, Kallsyms, advice::advice, was_tried},
    host::privileges::Use,
    live::BTF_PATH,
};

/// Width of the column of labels.
const LABEL: usize = 12;
/// Width of the column of hooks' names.
const NAME: usize = 18;

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Writes it as one piece. Styles are written always; `out` strips them where they don't belong.
pub(super) fn write(checkup: &Checkup, out: &mut impl Write) -> io::Result<()> {
    let mut text = lines(checkup).join("\n");
    text.push('\n');
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn lines(checkup: &Checkup) -> Vec<String> {
    let version = env!("CARGO_PKG_VERSION");
    let mut lines = vec![format!("fragwatch {version} on Linux {}", printable(&checkup.kernel))];
    lines.push(headline(checkup));
    lines.extend(checkup.obstacle.iter().map(|obstacle| labelled("because", obstacle)));
    if checkup.obstacle.is_none() {
        lines.extend(checkup.lost().iter().map(|lost| labelled("not seen", lost)));
    }
    lines.extend(advice(checkup).iter().map(|advice| labelled("to see more", advice)));
    lines.push(section("kernel"));
    lines.extend(kernel(checkup));
    lines.push(section("capabilities"));
    lines.extend(checkup.capabilities.iter().map(capability));
    lines.push(section("hooks"));
    if checkup.hooks.is_empty() {
        lines.push(labelled("unknown", "without the kernel's type information none can be tried"));
    }
    lines.extend(checkup.hooks.iter().flat_map(hook));
    lines
}

fn headline(checkup: &Checkup) -> String {
    let (style, word, text) = match checkup.status() {
        DoctorStatus::Full => (GREEN, "FULL", "trace sees all that it looks for"),
        DoctorStatus::Degraded => (YELLOW, "DEGRADED", "trace runs, and does not see all of it"),
        DoctorStatus::CannotRun => (RED, "CAN'T RUN", "trace can't run"),
    };
    format!("{}: {text}", paint(style, word))
}

fn kernel(checkup: &Checkup) -> Vec<String> {
    let s = &checkup.environment;
    let btf = match &checkup.btf {
        Ok(BtfFound { size, missing }) if missing.is_empty() => {
            format!("{BTF_PATH}, {}, with all that is read by it", bytes(*size))
        }
        Ok(BtfFound { size, missing }) => {
            format!("{BTF_PATH}, {}, without {}", bytes(*size), missing.join(", "))
        }
        Err(error) => error.clone(),
    };
    let kallsyms = match &checkup.kallsyms {
        Kallsyms::Complete => "names and addresses".to_owned(),
        Kallsyms::NamesOnly => "names, but every address reads as zero".to_owned(),
        Kallsyms::Unreadable(error) => error.clone(),
    };
    let mounted = |at: &Option<std::path::PathBuf>| match at {
        Some(path) => path.display().to_string(),
        None => "not mounted".to_owned(),
    };
    let number = |value: Option<i64>| value.map_or_else(|| "unknown".to_owned(), |v| v.to_string());
    vec![
        labelled("BTF", &btf),
        labelled("kallsyms", &kallsyms),
        labelled("kprobes", if s.kprobes { "built in" } else { "not built in" }),
        labelled("lockdown", s.lockdown.name()),
        labelled("tracefs", &mounted(&s.tracefs)),
        labelled("bpffs", &format!("{} (fragwatch keeps nothing there)", mounted(&s.bpffs))),
        labelled("cgroups", s.cgroups.name()),
        labelled(
            "settings",
            &format!(
                "kernel.perf_event_paranoid={} kernel.unprivileged_bpf_disabled={} \
                 kernel.kptr_restrict={}",
                number(s.perf_event_paranoid),
                number(s.unprivileged_bpf_disabled),
                number(s.kptr_restrict)
            ),
        ),
    ]
}

fn capability((u, held): &(Use, bool)) -> String {
    let (state, lost) = if *held {
        (paint(GREEN, "held   "), String::new())
    } else {
        (paint(if u.required { RED } else { YELLOW }, "missing"), format!("; lost: {}", u.lost))
    };
    format!("  {state} {}: {}{lost}", u.capability, u.purpose)
}

fn hook(hook: &HookStatus) -> Vec<String> {
    let (style, state) = match hook.state {
        _ if !was_tried(hook) => (YELLOW, "unknown"),
        State::Attached => (GREEN, "attached"),
        State::Fallback => (YELLOW, "fallback"),
        State::Missing => (RED, "missing"),
    };
    let name = hook.hook.name();
    let via = hook.via.as_ref().map_or_else(|| "-".to_owned(), |via| short(&via.to_string()));
    let mut lines = vec![format!("  {} {name:<NAME$} {via}", paint(style, &format!("{state:<8}")))];
    for attempt in &hook.attempts {
        if let Some(refusal) = &attempt.refusal {
            lines.push(format!("           {}: {refusal}", short(&attempt.via.to_string())));
        }
    }
    let label = if was_tried(hook) { "not seen" } else { "not seen without it" };
    lines.extend(hook.not_seen.iter().map(|lost| format!("           {label}: {lost}")));
    lines
}

/// A way to attach in a few words: of many tracepoints the first stands for all.
fn short(via: &str) -> String {
    let mut parts = via.split('+');
    match (parts.next(), parts.count()) {
        (Some(first), more) if more > 1 => format!("{first} and {more} more"),
        _ => via.to_owned(),
    }
}

fn section(name: &str) -> String {
    paint(BOLD, name)
}

fn labelled(label: &str, text: &str) -> String {
    format!("  {} {text}", paint(DIM, &format!("{label:<LABEL$}")))
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
