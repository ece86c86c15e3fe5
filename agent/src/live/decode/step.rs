//! Failed steps of a container's start.
use fragwatch_core::model::event::{EventKind, FailedStep, StartStep};
use fragwatch_ebpf::StepFailed;

/// `None` for a step that has no name here, which agent and programs of one build don't have.
pub(super) fn failed(r: &StepFailed) -> Option<EventKind> {
    let known = r.processes_known != 0;
    Some(EventKind::StepFailed(FailedStep {
        step: StartStep::from_number(r.step)?,
        errno: r.errno.saturating_neg(),
        uid: r.uid,
        processes: known.then_some(r.processes),
        process_limit: known.then_some(r.process_limit),
    }))
}
