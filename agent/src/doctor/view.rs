//! The result as it is printed.
use fragwatch_core::{
    model::hook::{HookStatus, Method},
    report::{
        line::{Line, doctor as line, hook as line_hook},
        view,
    },
};

use crate::{
    doctor::{Checkup, Kallsyms, advice::advice, was_tried},
    host::privileges::Use,
    kernel::environment::Lockdown,
    live::BTF_PATH,
};

/// The result as a line.
pub(super) fn line(checkup: &Checkup) -> Line {
    Line::Doctor(Box::new(doctor(checkup)))
}

/// The result.
pub(super) fn doctor(checkup: &Checkup) -> line::Doctor {
    let status = checkup.status();
    let btf = checkup.btf.as_ref();
    line::Doctor {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: checkup.kernel.clone(),
        status,
        exit_code: status.exit_code(),
        obstacle: checkup.obstacle.clone(),
        not_seen: checkup.lost().into_iter().map(str::to_owned).collect(),
        advice: advice(checkup),
        btf: line::Btf {
            path: BTF_PATH,
            bytes: btf.ok().map(|found| found.size),
            missing: btf.ok().map(|found| found.missing.clone()),
            error: btf.err().cloned(),
        },
        kallsyms: kallsyms(&checkup.kallsyms),
        environment: environment(checkup),
        capabilities: checkup.capabilities.iter().map(capability).collect(),
        hooks: checkup.hooks.iter().map(hook).collect(),
    }
}

fn kallsyms(kallsyms: &Kallsyms) -> line::Kallsyms {
    line::Kallsyms {
        names: !matches!(kallsyms, Kallsyms::Unreadable(_)),
        addresses: *kallsyms == Kallsyms::Complete,
        error: match kallsyms {
            Kallsyms::Unreadable(error) => Some(error.clone()),
            Kallsyms::Complete | Kallsyms::NamesOnly => None,
        },
    }
}

fn environment(checkup: &Checkup) -> line::Environment {
    let s = &checkup.environment;
    let path = |at: &Option<std::path::PathBuf>| at.as_ref().map(|at| at.display().to_string());
    line::Environment {
        kprobes: s.kprobes,
        lockdown: (s.lockdown != Lockdown::Unknown).then(|| s.lockdown.name()),
        tracefs: path(&s.tracefs),
        own_tracefs: s.tracefs.is_none() && checkup.hooks.iter().any(by_tracepoint),
        bpffs: path(&s.bpffs),
        cgroups: s.cgroups.name(),
        perf_event_paranoid: s.perf_event_paranoid,
        unprivileged_bpf_disabled: s.unprivileged_bpf_disabled,
        kptr_restrict: s.kptr_restrict,
    }
}

fn by_tracepoint(hook: &HookStatus) -> bool {
    hook.via.as_ref().is_some_and(|via| via.method == Method::Tracepoint)
}

fn capability((u, held): &(Use, bool)) -> line::Capability {
    line::Capability {
        name: u.capability.to_string(),
        held: *held,
        required: u.required,
        purpose: u.purpose,
        lost_without: u.lost,
    }
}

fn hook(status: &HookStatus) -> line_hook::Hook {
    let hook = view::hook(status);
    let attempt = |a: &fragwatch_core::model::hook::Attempt| line_hook::Attempt {
        via: a.via.to_string(),
        refusal: a.refusal.as_ref().map(ToString::to_string),
    };
    line_hook::Hook {
        // Not known where it was not tried.
        state: hook.state.filter(|_| was_tried(status)),
        attempts: Some(status.attempts.iter().map(attempt).collect()),
        ..hook
    }
}
