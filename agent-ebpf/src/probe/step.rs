//! Steps of a container's start of which only failures are recorded, at the exits of their functions. Which
//! errors are worth a record is in [`StartStep::is_lack`]; whether it was a container's start decides the
//! agent.
use aya_ebpf::{
    helpers::{bpf_get_current_uid_gid, generated::bpf_get_current_task},
    macros::{fexit, kretprobe},
    programs::{FExitContext, RetProbeContext},
};
use fragwatch_ebpf::{Counter, StartStep, StepFailed, table::ABSENT};

use super::memcg_charge;
use crate::{
    budget,
    counters::count,
    emit::emit_outside,
    kernel::{
        self, CRED_UCOUNTS, CRED_USER, LIMITED_PROCESSES, SIGNAL_LIMITS, TASK_REAL_CRED,
        TASK_SIGNAL, UCOUNT_PROCESSES, UCOUNTS_COUNTS, UCOUNTS_LIMITED, USER_PROCESS_COUNT,
        argument, errno_of, number,
    },
    maps::REPORTED,
    state::Reported,
    thread,
};

/// `RLIMIT_NPROC` of include/uapi/asm-generic/resource.h, in `struct rlimit`s of two longs.
const RLIMIT_NPROC: u32 = 6 * 16;

const SECOND_NS: u64 = 1_000_000_000;

/// Another hook has reported this negative errno, with which the step around it will fail too.
#[inline(always)]
pub(super) fn note_reported(errno: i32) {
    let reported = Reported { at_ns: kernel::now(), errno: i64::from(errno) };
    // If it can't be kept, the failure may be reported twice.
    let _ = REPORTED.insert(thread::tid(), reported, 0);
}

/// Whether another hook has just reported it.
#[inline(always)]
fn is_reported(errno: i32) -> bool {
    let tid = thread::tid();
    let Some(reported) = REPORTED.get_ptr(tid) else { return false };
    // SAFETY: memory of the map. Should the element be evicted and reused meanwhile, the failure is reported
    // twice, or not.
    let reported = unsafe { *reported };
    // Not there any more is as good as removed.
    let _ = REPORTED.remove(tid);
    reported.errno == i64::from(errno) && kernel::now().saturating_sub(reported.at_ns) < SECOND_NS
}

/// For what is not negative an error is a small negative number.
#[inline(always)]
fn leave(step: StartStep, result: i32) {
    if (-4095..0).contains(&result) {
        failed(step, result);
    }
}

#[inline(always)]
fn failed(step: StartStep, errno: i32) {
    let uid = bpf_get_current_uid_gid() as u32;
    if !step.is_lack(-errno, uid) || is_reported(errno) {
        return;
    }
    if !budget::record_step(step, errno) {
        count(Counter::OmittedSteps);
        return;
    }
    memcg_charge::report_outside();
    emit_outside::<StepFailed>(|record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field is written
        // here before anything reads it.
        let record = unsafe { &mut *record };
        record.head = head;
        record.step = step as u32;
        record.errno = errno;
        record.uid = uid;
        // Written before anything is read: Linux 5.10 refuses a program that may read what it has not written.
        record.processes_known = 0;
        record.processes = 0;
        record.process_limit = 0;
        if matches!(step, StartStep::Fork | StartStep::Exec) {
            record_processes(record);
        }
    });
}

/// Writes how many processes and threads the task's user has, and its `RLIMIT_NPROC`: what forks and, since a
/// changed user counts from there, executions are refused for.
#[inline(always)]
fn record_processes(record: &mut StepFailed) {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    let signal = kernel::read_or_zero::<u64>(task, TASK_SIGNAL.load());
    let limit_at = SIGNAL_LIMITS.load().wrapping_add(RLIMIT_NPROC);
    let Some(limit) = kernel::read::<u64>(signal, limit_at) else { return };
    let cred = kernel::read_or_zero::<u64>(task, TASK_REAL_CRED.load());
    let ucounts = kernel::read_or_zero::<u64>(cred, CRED_UCOUNTS.load());
    let limited = element(UCOUNTS_LIMITED.load(), LIMITED_PROCESSES.load());
    let counted = element(UCOUNTS_COUNTS.load(), UCOUNT_PROCESSES.load());
    if let Some(count) = kernel::read::<u64>(ucounts, limited) {
        record.processes = count;
    } else if let Some(count) = kernel::read::<u64>(ucounts, counted) {
        record.processes = count;
    } else {
        let user = kernel::read_or_zero::<u64>(cred, CRED_USER.load());
        let Some(count) = kernel::read::<u32>(user, USER_PROCESS_COUNT.load()) else { return };
        record.processes = u64::from(count);
    }
    record.process_limit = limit;
    record.processes_known = 1;
}

/// The offset of a long in an array; [`ABSENT`] if the kernel does not have both.
#[inline(always)]
fn element(array: u32, at: u32) -> u32 {
    if array == ABSENT || at == ABSENT {
        return ABSENT;
    }
    array.wrapping_add(at.wrapping_mul(8))
}

#[fexit]
fn fork_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the four arguments.
    leave(StartStep::Fork, errno_of(argument(&ctx, 4)));
    0
}

#[kretprobe]
fn fork_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(StartStep::Fork, errno_of(ctx.ret()));
    0
}

/// A program at the exit of a function with so many parameters that returns a number.
macro_rules! exit {
    ($program:ident, $step:ident, $parameters:literal) => {
        #[fexit]
        fn $program(ctx: FExitContext) -> u32 {
            leave(StartStep::$step, number(&ctx, $parameters) as i32);
            0
        }
    };
}

/// The same by a kretprobe.
macro_rules! returns {
    ($program:ident, $step:ident) => {
        #[kretprobe]
        fn $program(ctx: RetProbeContext) -> u32 {
            leave(StartStep::$step, ctx.ret::<u64>() as i32);
            0
        }
    };
}

exit!(exec_fexit, Exec, 1);
exit!(exec_file_fexit, Exec, 4);
exit!(mount_fexit, Mount, 5);
exit!(link_fexit, Link, 3);
exit!(cgroup_entry_fexit, CgroupEntry, 3);
exit!(keyring_fexit, Keyring, 1);
exit!(seccomp_fexit, Seccomp, 3);

returns!(exec_kretprobe, Exec);
returns!(mount_kretprobe, Mount);
returns!(link_kretprobe, Link);
returns!(cgroup_entry_kretprobe, CgroupEntry);
returns!(keyring_kretprobe, Keyring);
returns!(seccomp_kretprobe, Seccomp);
returns!(bpf_program_kretprobe, BpfProgram);
