//! The result of `doctor`: whether it works, what to do, and then all that was found.
use super::{BOLD, Block, GREEN, RED, YELLOW, paint};
use crate::{
    model::{hook::State, status::DoctorStatus},
    report::line::{
        doctor::{Capability, Doctor},
        hook::Hook,
    },
    units::{bytes, printable},
};

/// Width of the column of hooks' names.
const NAME: usize = 18;

/// The result.
pub(super) fn block(doctor: &Doctor) -> Block {
    let kernel = printable(&doctor.kernel);
    let mut block = Block::new(format!("fragwatch {} on Linux {kernel}", doctor.version));
    let (style, word, text) = match doctor.status {
        DoctorStatus::Full => (GREEN, "FULL", "trace sees all that it looks for"),
        DoctorStatus::Degraded => (YELLOW, "DEGRADED", "trace runs, and does not see all of it"),
        DoctorStatus::CannotRun => (RED, "CAN'T RUN", "trace can't run"),
    };
    block.line(format!("{}: {text}", paint(style, word)));
    if let Some(obstacle) = &doctor.obstacle {
        block.row("because", &printable(obstacle));
    }
    let printable_all =
        |texts: &[String]| -> Vec<String> { texts.iter().map(|t| printable(t)).collect() };
    block.list("see more", printable_all(&doctor.advice));
    if doctor.obstacle.is_none() {
        block.list("not seen", printable_all(&doctor.not_seen));
    }
    block.list("refused", reasons(&doctor.hooks));
    block.line(paint(BOLD, "kernel"));
    settings(&mut block, doctor);
    block.line(paint(BOLD, "capabilities"));
    doctor.capabilities.iter().for_each(|each| capability(&mut block, each));
    block.line(paint(BOLD, "hooks"));
    if doctor.hooks.is_empty() {
        block.row("unknown", "without the kernel's type information none can be tried");
    }
    let listed = doctor.obstacle.is_none();
    doctor.hooks.iter().for_each(|each| hook(&mut block, each, listed));
    block
}

/// Why hooks that lose something are not attached as they should be, each reason once.
fn reasons(hooks: &[Hook]) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    let losing = hooks.iter().filter(|hook| hook.state.is_some() && hook.not_seen.is_some());
    for reason in losing.flat_map(|hook| &hook.reasons) {
        let reason = printable(reason);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

fn settings(block: &mut Block, doctor: &Doctor) {
    let (btf, s) = (&doctor.btf, &doctor.environment);
    let size = bytes(btf.bytes.unwrap_or_default());
    let btf = match (&btf.error, btf.missing.as_deref().unwrap_or_default()) {
        (Some(error), _) => error.clone(),
        (None, []) => format!("{}, {size}, complete", btf.path),
        (None, missing) => format!("{}, {size}, without {}", btf.path, missing.join(", ")),
    };
    let kallsyms = match (&doctor.kallsyms.error, doctor.kallsyms.addresses) {
        (Some(error), _) => error.clone(),
        (None, true) => "names and addresses".to_owned(),
        (None, false) => "names, but every address reads as zero".to_owned(),
    };
    let mounted = |at: &Option<String>| at.clone().unwrap_or_else(|| "not mounted".to_owned());
    let tracefs = if s.own_tracefs {
        "not mounted; fragwatch uses one that nothing else sees".to_owned()
    } else {
        mounted(&s.tracefs)
    };
    let number = |value: Option<i64>| value.map_or_else(|| "unknown".to_owned(), |v| v.to_string());
    let sysctls = format!(
        "kernel.perf_event_paranoid={} kernel.unprivileged_bpf_disabled={} kernel.kptr_restrict={}",
        number(s.perf_event_paranoid),
        number(s.unprivileged_bpf_disabled),
        number(s.kptr_restrict)
    );
    for (label, text) in [
        ("BTF", btf),
        ("kallsyms", kallsyms),
        ("kprobes", if s.kprobes { "built in" } else { "not built in" }.to_owned()),
        ("lockdown", s.lockdown.unwrap_or("unknown").to_owned()),
        ("tracefs", tracefs),
        ("bpffs", format!("{} (not used)", mounted(&s.bpffs))),
        ("cgroups", s.cgroups.to_owned()),
        ("sysctl", sysctls),
    ] {
        block.row(label, &printable(&text));
    }
}

fn capability(block: &mut Block, c: &Capability) {
    let (style, label) = match (c.held, c.required) {
        (true, _) => (GREEN, "held"),
        (false, true) => (RED, "missing"),
        (false, false) => (YELLOW, "missing"),
    };
    let name = printable(&c.name);
    block.row_led_by(label, style, &name, &format!(": {}", printable(c.purpose)));
    if !c.held {
        block.row("", &format!("lost without it: {}", printable(c.lost_without)));
    }
}

/// A hook; `listed` if what is not seen without it was.
fn hook(block: &mut Block, hook: &Hook, listed: bool) {
    let (style, state) = match hook.state {
        None => (YELLOW, "unknown"),
        Some(State::Attached) => (GREEN, "attached"),
        Some(State::Fallback) => (YELLOW, "fallback"),
        Some(State::Missing) => (RED, "missing"),
    };
    let name = printable(&hook.name);
    let via = hook.via.as_deref().map_or_else(|| "-".to_owned(), |via| printable(&short(via)));
    block.line(format!("  {} {name:<NAME$} {via}", paint(style, &format!("{state:<9}"))));
    // Otherwise it stands above already.
    if let Some(lost) = hook.not_seen.as_ref().filter(|_| !listed) {
        let label = if hook.state.is_some() { "not seen" } else { "not seen without it" };
        block.row("", &format!("{label}: {}", printable(lost)));
    }
}

/// A way to attach in a few words: of many tracepoints the first stands for all.
fn short(via: &str) -> String {
    let mut parts = via.split('+');
    match (parts.next(), parts.count()) {
        (Some(first), more) if more > 1 => format!("{first} and {more} more"),
        _ => via.to_owned(),
    }
}
