//! What would let fragwatch see more here, what is quickly done first.
use caps::Capability;

use super::{Checkup, Kallsyms, was_tried};
use crate::kernel::surroundings::Lockdown;

/// Sentences that each tell one thing to do.
pub(super) fn advice(checkup: &Checkup) -> Vec<String> {
    let mut advice = Vec::new();
    let surroundings = &checkup.surroundings;
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
            "run it as root, or give it {}: then it tries the hooks",
            required.join(" and ")
        ));
    }
    if refused(checkup, "tracepoint:") {
        if surroundings.tracefs.is_none() {
            advice.push(
                "mount tracefs, where tracepoints have their numbers: mount -t tracefs tracefs \
                 /sys/kernel/tracing"
                    .to_owned(),
            );
        } else if !held(Capability::CAP_DAC_READ_SEARCH) {
            advice.push("give it CAP_DAC_READ_SEARCH, for tracepoints".to_owned());
        }
    }
    if checkup.kallsyms != Kallsyms::Whole {
        if !held(Capability::CAP_SYSLOG) {
            advice.push("give it CAP_SYSLOG, for names of functions".to_owned());
        }
        if surroundings.kptr_restrict.is_some_and(|level| level >= 2) {
            advice.push(
                "let addresses be seen, for names of functions: sysctl -w kernel.kptr_restrict=1"
                    .to_owned(),
            );
        }
    }
    let tried = checkup.hooks.iter().all(was_tried) && checkup.kallsyms == Kallsyms::Whole;
    if tried && refused(checkup, "breakpoint:") && !held(Capability::CAP_SYS_ADMIN) {
        advice.push("give it CAP_SYS_ADMIN, for the execution breakpoint".to_owned());
    }
    if checkup.btf.is_err() {
        advice.push("boot a kernel with CONFIG_DEBUG_INFO_BTF".to_owned());
    }
    if surroundings.lockdown == Lockdown::Confidentiality {
        advice.push(
            "boot without lockdown=confidentiality: it keeps kprobes, tracefs and the kernel's \
             memory even from root"
                .to_owned(),
        );
    }
    if !surroundings.kprobes && refused(checkup, "kprobe") {
        advice.push("boot a kernel with CONFIG_KPROBES".to_owned());
    }
    advice
}

/// Whether a candidate of this kind was refused, or could not be tried, for a hook that lost
/// something by it.
fn refused(checkup: &Checkup, kind: &str) -> bool {
    let poor = checkup.hooks.iter().filter(|hook| hook.not_seen.is_some());
    poor.flat_map(|hook| &hook.attempts).any(|a| a.refusal.is_some() && a.via.starts_with(kind))
}
