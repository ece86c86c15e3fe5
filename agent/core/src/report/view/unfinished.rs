//! Creations whose end was not seen.
use jiff::Timestamp;

use super::{allocation::function, cgroup, container::container, creation::namespaces};
use crate::{
    diagnose::waits,
    model::{
        frame::{Frame, TRAMPOLINES},
        open_creation::{State, Unfinished},
    },
    report::line::{Line, unfinished as line},
};

/// What trampolines of fentry and fexit programs are called (kernel/bpf/trampoline.c).
const BPF_TRAMPOLINE: &str = "bpf_trampoline_";

/// One that was found at that time.
pub fn unfinished(found: Timestamp, one: &Unfinished) -> Line {
    let (state, stall_ns, stack) = match &one.state {
        State::UnderWay { stall_ns, stack } => {
            (line::State::UnderWay, *stall_ns, stack.as_deref().unwrap_or_default())
        }
        State::EndLost => (line::State::EndLost, 0, &[][..]),
    };
    let is_trampoline = |frame: &Frame| {
        frame.function.as_deref().is_some_and(|function| {
            TRAMPOLINES.contains(&function) || function.starts_with(BPF_TRAMPOLINE)
        })
    };
    let mut functions: Vec<String> =
        stack.iter().filter(|frame| !is_trampoline(frame)).map(function).collect();
    // One that a trampoline calls is on the stack twice.
    functions.dedup();
    Line::Unfinished(Box::new(line::Unfinished {
        time: found.into(),
        state,
        step: one.step.into(),
        namespaces: namespaces(one.namespaces),
        open_us: one.at_ns.saturating_sub(one.creation.began_ns) / 1000,
        pid: one.task.pid,
        tid: one.task.tid,
        comm: one.task.comm.clone(),
        cgroup: cgroup(&one.task, one.cgroup.as_ref()),
        container: one.container.as_ref().map(container),
        waits_for: waits::waits_for(stack),
        stack: functions,
        stall_us: stall_ns / 1000,
        allocations_failed: one.failures,
        more: one.more,
    }))
}
