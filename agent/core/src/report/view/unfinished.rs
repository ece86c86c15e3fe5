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

/// One that was found at that time.
pub fn unfinished(found: Timestamp, one: &Unfinished) -> Line {
    let (state, stall_ns, stack) = match &one.state {
        State::UnderWay { stall_ns, stack } => {
            (line::State::UnderWay, *stall_ns, stack.as_deref().unwrap_or_default())
        }
        State::EndLost => (line::State::EndLost, 0, &[][..]),
    };
    let is_known = |frame: &&Frame| {
        frame.function.as_deref().is_none_or(|function| !TRAMPOLINES.contains(&function))
    };
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
        stack: stack.iter().filter(is_known).map(function).collect(),
        stall_us: stall_ns / 1000,
        allocations_failed: one.failures,
        more: one.more,
    }))
}
