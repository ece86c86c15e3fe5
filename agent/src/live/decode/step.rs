//! Failed steps of a container's start.
use fragwatch_core::model::event::{EventKind, FailedStep, StartStep};
use fragwatch_ebpf::StepFailed;

/// `None` for a step that has no name here, which agent and programs of one build don't have.
pub(super) fn failed(r: &StepFailed) -> Option<EventKind> {
    let known = r.processes_known != 0;
    Some(EventKind::StepFailed(FailedStep {
        step: step(fragwatch_ebpf::StartStep::from_number(r.step)?),
        errno: r.errno.saturating_neg(),
        uid: r.uid,
        processes: known.then_some(r.processes),
        process_limit: known.then_some(r.process_limit),
    }))
}

fn step(step: fragwatch_ebpf::StartStep) -> StartStep {
    match step {
        fragwatch_ebpf::StartStep::Fork => StartStep::Fork,
        fragwatch_ebpf::StartStep::Exec => StartStep::Exec,
        fragwatch_ebpf::StartStep::Mount => StartStep::Mount,
        fragwatch_ebpf::StartStep::Link => StartStep::Link,
        fragwatch_ebpf::StartStep::CgroupEntry => StartStep::CgroupEntry,
        fragwatch_ebpf::StartStep::Keyring => StartStep::Keyring,
        fragwatch_ebpf::StartStep::Seccomp => StartStep::Seccomp,
        fragwatch_ebpf::StartStep::BpfProgram => StartStep::BpfProgram,
    }
}
