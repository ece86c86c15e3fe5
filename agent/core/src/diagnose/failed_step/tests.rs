use super::*;
use crate::model::{
    event::Task,
    node::{NodeFacts, Reading},
    step::{CreationStep, StepKind},
};

fn failed(step: StartStep, errno: i32) -> FailedStep {
    FailedStep { step, errno, uid: 1000, processes: Some(10), process_limit: Some(10) }
}

fn step(failed: FailedStep) -> CreationStep {
    let task = Task { pid: 9, tid: 9, comm: "runc:[2:INIT]".to_owned(), cgroup_id: 7 };
    let errno = failed.errno;
    let mut step = CreationStep::new(StepKind::Failed(failed), task, 1_000);
    step.errno = Some(errno);
    step
}

fn verdict(failed: FailedStep) -> Verdict {
    let step = step(failed);
    crate::diagnose::diagnose(&Evidence::step(&step, 4096, &[]))
}

#[test]
fn a_user_at_its_limit_is_named() {
    let verdict = verdict(failed(StartStep::Fork, libc::EAGAIN));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::PidsLimit, Confidence::High));
    assert!(verdict.because[0].contains("user 1000"), "{verdict:#?}");
}

#[test]
fn root_has_no_such_limit() {
    let root = FailedStep { uid: 0, ..failed(StartStep::Fork, libc::EAGAIN) };
    let verdict = verdict(root);
    assert_eq!((verdict.cause, verdict.confidence), (Cause::PidsLimit, Confidence::Medium));
    assert!(verdict.not_seen.iter().any(|text| text.contains("which limit")), "{verdict:#?}");
}

#[test]
fn a_full_machine_is_named_by_what_was_read_after() {
    let step =
        step(FailedStep { process_limit: Some(11), ..failed(StartStep::Fork, libc::EAGAIN) });
    let facts = NodeFacts {
        time_ns: 2_000,
        threads: Some(32_700),
        pid_max: Some(32_768),
        threads_max: Some(100_000),
        ..NodeFacts::default()
    };
    let reading = Reading::of(&facts, 1_000);
    let verdict = crate::diagnose::diagnose(&Evidence::step(&step, 4096, &[]).with_node(reading));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::PidsLimit, Confidence::Medium));
    assert!(verdict.because[1].contains("kernel.pid_max is 32,768"), "{verdict:#?}");
}

#[test]
fn limits_that_are_none_of_memory() {
    for (kind, errno, words) in [
        (StartStep::Keyring, libc::EDQUOT, "kernel.keys.maxkeys"),
        (StartStep::Seccomp, ENOTSUPP, "net.core.bpf_jit_limit"),
        (StartStep::Mount, libc::ENOSPC, "fs.mount-max"),
        (StartStep::Link, libc::EXFULL, "bridge"),
        (StartStep::Exec, libc::ENFILE, "open files"),
    ] {
        let verdict = verdict(failed(kind, errno));
        assert_eq!(verdict.cause, Cause::NotMemory, "{kind:?}");
        assert!(verdict.because[1].contains(words), "{verdict:#?}");
    }
}

#[test]
fn enomem_without_a_failed_allocation_is_undetermined() {
    for kind in [StartStep::Fork, StartStep::Mount, StartStep::Link, StartStep::Seccomp] {
        assert_eq!(verdict(failed(kind, libc::ENOMEM)).cause, Cause::Undetermined, "{kind:?}");
    }
}

#[test]
fn a_program_that_may_not_be_loaded_is_no_limit_on_newer_kernels() {
    let step = step(FailedStep { uid: 0, ..failed(StartStep::BpfProgram, libc::EPERM) });
    let on = |release: &str| {
        let kernel = release.parse().expect("a release");
        let evidence = Evidence::step(&step, 4096, &[]).on_kernel(Some(&kernel));
        on_others(&evidence).map(|verdict| verdict.because[1].clone())
    };
    assert!(on("5.10.0-46-cloud-amd64").expect("a verdict").contains("RLIMIT_MEMLOCK"));
    assert_eq!(on("6.12.0"), None);
}
