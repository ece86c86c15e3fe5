//! The report for programs: one object.
use std::io::{self, Write};

use fragwatch_core::model::hook::{Attempt, HookStatus};
use serde_json::{Value, json};

use crate::{
    doctor::{Checkup, Kallsyms, advice::advice, was_tried},
    host::privileges::Use,
    kernel::environment::{Environment, Lockdown},
    live::BTF_PATH,
};

/// Writes it as one line.
pub(super) fn write(checkup: &Checkup, out: &mut impl Write) -> io::Result<()> {
    let mut line = value(checkup).to_string();
    line.push('\n');
    out.write_all(line.as_bytes())?;
    out.flush()
}

pub(super) fn value(checkup: &Checkup) -> Value {
    let status = checkup.status();
    let (size, missing, error) = match &checkup.btf {
        Ok(found) => (Some(found.size), Some(&found.missing), None),
        Err(error) => (None, None, Some(error)),
    };
    json!({
        "type": "doctor",
        "version": env!("CARGO_PKG_VERSION"),
        "kernel": checkup.kernel,
        "standing": status.name(),
        "exit_code": status.exit_code(),
        "obstacle": checkup.obstacle,
        "lost": checkup.lost(),
        "advice": advice(checkup),
        "btf": {"path": BTF_PATH, "bytes": size, "missing": missing, "error": error},
        "kallsyms": kallsyms(&checkup.kallsyms),
        "environment": environment(&checkup.environment),
        "capabilities": checkup.capabilities.iter().map(capability).collect::<Vec<_>>(),
        "hooks": checkup.hooks.iter().map(hook).collect::<Vec<_>>(),
        "not_seen": checkup.not_seen,
    })
}

fn kallsyms(kallsyms: &Kallsyms) -> Value {
    json!({
        "names": !matches!(kallsyms, Kallsyms::Unreadable(_)),
        "addresses": *kallsyms == Kallsyms::Complete,
        "error": match kallsyms {
            Kallsyms::Unreadable(error) => Some(error),
            Kallsyms::Complete | Kallsyms::NamesOnly => None,
        },
    })
}

fn environment(s: &Environment) -> Value {
    json!({
        "kprobes": s.kprobes,
        "lockdown": (s.lockdown != Lockdown::Unknown).then(|| s.lockdown.name()),
        "tracefs": s.tracefs,
        "bpffs": s.bpffs,
        "cgroups": s.cgroups.name(),
        "perf_event_paranoid": s.perf_event_paranoid,
        "unprivileged_bpf_disabled": s.unprivileged_bpf_disabled,
        "kptr_restrict": s.kptr_restrict,
    })
}

fn capability((u, held): &(Use, bool)) -> Value {
    json!({
        "name": u.capability.to_string(),
        "held": held,
        "required": u.required,
        "purpose": u.purpose,
        "lost_without": u.lost,
    })
}

fn hook(hook: &HookStatus) -> Value {
    let attempts: Vec<Value> = hook.attempts.iter().map(attempt).collect();
    json!({
        "name": hook.hook.name(),
        "via": hook.via.as_ref().map(ToString::to_string),
        // Not known where nobody tried.
        "state": was_tried(hook).then(|| hook.state.name()),
        "why": hook.why,
        "not_seen": hook.not_seen,
        "attempts": attempts,
    })
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "via": attempt.via.to_string(),
        "refusal": attempt.refusal.as_ref().map(ToString::to_string),
    })
}
