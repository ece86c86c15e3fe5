//! Steps that would let `trace` observe more on this machine, the quickest first.
use caps::Capability;
use fragwatch_core::model::hook::Method;

use crate::{
    doctor::{Checkup, Kallsyms, was_tried},
    kernel::environment::Lockdown,
};

/// One sentence per step.
pub(super) fn advice(checkup: &Checkup) -> Vec<String> {
    let mut advice = Vec::new();
    let environment = &checkup.environment;
    let held = |capability: Capability| {
        checkup.capabilities.iter().any(|(u, held)| *held && u.capability == capability)
    };
    let required: Vec<String> = checkup
        .capabilities
        .iter()
        .filter(|(u, held)| u.required && !held)
        .map(|(u, _)| u.capability.to_string())
        .collect();
    if !required.is_empty() {
        advice.push(format!(
            "run it as root, or give it {}, so that it can try the hooks",
            required.join(" and ")
        ));
    }
    let unloaded = checkup.obstacle.is_some() && !checkup.hooks.iter().all(was_tried);
    if unloaded && required.is_empty() && !held(Capability::CAP_SYS_RESOURCE) {
        advice.push(
            "give it CAP_SYS_RESOURCE, or start it with an unlimited RLIMIT_MEMLOCK (ulimit -l \
             unlimited): before Linux 5.11 maps count against it"
                .to_owned(),
        );
    }
    // Above level 2 Debian's kernels require CAP_SYS_ADMIN, where other kernels accept CAP_PERFMON.
    let paranoid = environment.perf_event_paranoid.is_some_and(|level| level > 2)
        && !held(Capability::CAP_SYS_ADMIN);
    if paranoid
        && (refused(checkup, Method::is_kprobe)
            || refused(checkup, |method| method == Method::Tracepoint))
    {
        advice.push(
            "let CAP_PERFMON be enough for kprobes and tracepoints: sysctl -w \
             kernel.perf_event_paranoid=2, or give it CAP_SYS_ADMIN"
                .to_owned(),
        );
    }
    if refused(checkup, |method| method == Method::Tracepoint) {
        if environment.tracefs.is_none() {
            advice.push(
                "mount tracefs, which holds the ids of tracepoints: mount -t tracefs tracefs \
                 /sys/kernel/tracing"
                    .to_owned(),
            );
        } else if !held(Capability::CAP_DAC_READ_SEARCH) {
            advice.push("give it CAP_DAC_READ_SEARCH, for tracepoints".to_owned());
        }
    }
    let unnamed = |sentence: &String| sentence.starts_with("names of functions");
    if checkup.kallsyms != Kallsyms::Complete && checkup.not_seen.iter().any(unnamed) {
        if !held(Capability::CAP_SYSLOG) {
            advice.push("give it CAP_SYSLOG, for names of functions".to_owned());
        }
        if environment.kptr_restrict.is_some_and(|level| level >= 2) {
            advice.push(
                "show kernel addresses, for names of functions: sysctl -w kernel.kptr_restrict=1"
                    .to_owned(),
            );
        }
    }
    if checkup.btf.is_err() {
        advice.push("boot a kernel with CONFIG_DEBUG_INFO_BTF".to_owned());
    }
    if environment.lockdown == Lockdown::Confidentiality {
        advice.push(
            "boot without lockdown=confidentiality: it forbids kprobes, tracefs and reading kernel \
             memory even to root"
                .to_owned(),
        );
    }
    if !environment.kprobes && refused(checkup, Method::is_kprobe) {
        advice.push("boot a kernel with CONFIG_KPROBES".to_owned());
    }
    advice
}

/// Whether a candidate with such a method was refused or not tried for a hook that misses events
/// without it.
fn refused(checkup: &Checkup, is_meant: impl Fn(Method) -> bool) -> bool {
    let degraded = checkup.hooks.iter().filter(|hook| hook.not_seen.is_some());
    degraded.flat_map(|hook| &hook.attempts).any(|a| a.refusal.is_some() && is_meant(a.via.method))
}
