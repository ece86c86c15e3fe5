//! What reports tell of a creation's step and of the start that it is a part of.
use serde_json::{Value, json};

use crate::{
    model::{
        creation::{Certainty, Creation, StepPart},
        errno,
        event::{CgroupSetup, ForkRefused},
        step::{CreationStep, NAMESPACES, Step},
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
    labelled("fork", &format!("refused by {whose}{full}"))
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
    match c.step {
        Step::Namespaces => {
            let names =
                |&(flag, name): &(u64, &'static str)| (c.namespaces & flag != 0).then_some(name);
            let others: Vec<&str> = NAMESPACES.iter().filter_map(names).collect();
            if others.is_empty() || others.contains(&"net") {
                "netns setup".to_owned()
            } else {
                format!("setup of namespaces ({})", others.join(", "))
            }
        }
        Step::Cgroup => "cgroup setup".to_owned(),
        Step::Fork => "fork".to_owned(),
        Step::OomKill if c.killed => "start".to_owned(),
        Step::OomKill => "OOM kill for the start".to_owned(),
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
