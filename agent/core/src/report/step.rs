//! What reports tell of a creation's step and of the start that it is a part of.
use serde_json::{Value, json};

use crate::{
    model::{
        creation::{Certainty, Creation, StepPart},
        errno,
        event::{CgroupSetup, ForkRefused},
        step::{CreationStep, NAMESPACES, StepKind},
    },
    report::text::labelled,
    units::{duration, printable},
};

/// The fork that was refused, as a line of text.
pub(super) fn fork_refused(refused: &ForkRefused) -> String {
    let whose = refused.cgroup.as_deref().map_or_else(|| "a cgroup".to_owned(), printable);
    let full = match (refused.processes, refused.limit) {
        (Some(processes), Some(limit)) => format!(", which has {processes} of {limit}"),
        _ => String::new(),
    };
    let times = refused.times.map(|times| format!(", {times} times")).unwrap_or_default();
    labelled("fork", &format!("refused by {whose}{full}{times}"))
}

/// What else was seen of the same start, as a line of text.
pub(super) fn parts(start: &Creation, ended_ns: u64) -> String {
    let told: Vec<String> = start
        .parts
        .iter()
        .map(|part| {
            let guess = if part.tie == Certainty::Guess { "a guess: " } else { "" };
            let before = duration(ended_ns.saturating_sub(part.at_ns));
            match part.piece {
                StepPart::Process => format!("{guess}{}", part.why),
                piece => format!("{} made {before} before ({guess}{})", piece.name(), part.why),
            }
        })
        .collect();
    labelled("its start", &told.join("; "))
}

/// What was being done, in a few words.
pub(super) fn what(c: &CreationStep) -> String {
    match &c.kind {
        StepKind::Namespaces(made) => {
            let others = namespaces(made.flags);
            if others.is_empty() || others.contains(&"net") {
                "netns setup".to_owned()
            } else {
                format!("setup of namespaces ({})", others.join(", "))
            }
        }
        StepKind::Cgroup(_) => "cgroup setup".to_owned(),
        StepKind::Fork(_) => "fork".to_owned(),
        StepKind::OomKill { .. } if c.killed => "start".to_owned(),
        StepKind::OomKill { .. } => "OOM kill for the start".to_owned(),
    }
}

/// Attributions of the namespaces among `CLONE_NEW*` flags (include/uapi/linux/sched.h).
pub(super) fn namespaces(flags: u64) -> Vec<&'static str> {
    NAMESPACES.iter().filter(|&&(flag, _)| flags & flag != 0).map(|&(_, name)| name).collect()
}

/// The cgroup that could not be made.
pub(super) fn cgroup_refused(setup: &CgroupSetup) -> Option<Value> {
    Some(json!({
        "parent": setup.parent.display(),
        "name": setup.name,
        "errno": errno::name(setup.errno?),
        "controller": setup.memory_errno.map(|_| "memory"),
        "controller_errno": setup.memory_errno.map(errno::name),
    }))
}

/// The fork that was refused, for programs.
pub(super) fn fork_refused_value(refused: &ForkRefused) -> Value {
    json!({
        "cgroup": refused.cgroup,
        "processes": refused.processes,
        "limit": refused.limit,
        "times": refused.times,
    })
}

/// What else was seen of the same start, for programs.
pub(super) fn parts_value(start: &Creation, ended_ns: u64) -> Value {
    let parts: Vec<Value> = start
        .parts
        .iter()
        .map(|part| {
            json!({
                "what": part.piece.name(),
                "before_us": ended_ns.saturating_sub(part.at_ns) / 1000,
                "certain": part.tie == Certainty::Certain,
                "why": part.why,
            })
        })
        .collect();
    json!({"parts": parts})
}
