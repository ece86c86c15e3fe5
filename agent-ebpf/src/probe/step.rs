//! Steps of a container's start of which only failures are recorded, at the exits of their functions. Which
//! errors are worth a record is in [`StartStep::is_lack`]; whether it was a container's start decides the
//! agent.
use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_uid_gid,
        generated::{bpf_get_attach_cookie, bpf_get_current_task},
    },
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
    thread,
};

/// `RLIMIT_NPROC` of include/uapi/asm-generic/resource.h, in `struct rlimit`s of two longs.
const RLIMIT_NPROC: u32 = 6 * 16;

const SECOND_NS: u64 = 1_000_000_000;

/// An error that another hook has reported.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Reported {
    at_ns: u64,
    errno: i64,
}

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
    if result < 0 && result >= -4095 {
        failed(step, result);
    }
}

#[inline(always)]
fn failed(step: StartStep, errno: i32) {
    if !step.is_lack(-errno) || is_reported(errno) {
        return;
    }
    if !budget::record_step(step, errno) {
        count(Counter::OmittedSteps);
        return;
    }
    memcg_charge::report_outside();
    let processes = processes();
    emit_outside::<StepFailed>(|record, head| {
        let failed = StepFailed {
            head,
            step: step as u32,
            errno,
            uid: bpf_get_current_uid_gid() as u32,
            processes_known: u32::from(processes.is_some()),
            processes: processes.map_or(0, |(count, _)| count),
            process_limit: processes.map_or(0, |(_, limit)| limit),
        };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(failed) };
    });
}

/// Processes and threads that the task's user has, and its `RLIMIT_NPROC`.
#[inline(always)]
fn processes() -> Option<(u64, u64)> {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    let signal = kernel::read::<u64>(task, TASK_SIGNAL.load())?;
    let limit = kernel::read(signal, SIGNAL_LIMITS.load().wrapping_add(RLIMIT_NPROC))?;
    let cred = kernel::read::<u64>(task, TASK_REAL_CRED.load())?;
    let ucounts = kernel::read::<u64>(cred, CRED_UCOUNTS.load()).unwrap_or(0);
    let element = |array: u32, at: u32| {
        if array == ABSENT || at == ABSENT {
            return None;
        }
        kernel::read::<u64>(ucounts, array.wrapping_add(at.wrapping_mul(8)))
    };
    let count = element(UCOUNTS_LIMITED.load(), LIMITED_PROCESSES.load())
        .or_else(|| element(UCOUNTS_COUNTS.load(), UCOUNT_PROCESSES.load()))
        .or_else(|| {
            let user = kernel::read::<u64>(cred, CRED_USER.load())?;
            kernel::read::<u32>(user, USER_PROCESS_COUNT.load()).map(u64::from)
        })?;
    Some((count, limit))
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

/// Behind all of these functions.
#[kretprobe]
fn failed_step_kretprobe(ctx: RetProbeContext) -> u32 {
    let result = ctx.ret::<u64>();
    // Of a pointer the lower half alone may look like an error.
    let lower = result as i32;
    if lower >= 0 || lower < -4095 {
        return 0;
    }
    // SAFETY: the helper takes the context, and is there where this program can be attached.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) } as u32;
    let Some(step) = StartStep::from_number(cookie) else { return 0 };
    let errno = if step == StartStep::Fork { errno_of(result) } else { lower };
    leave(step, errno);
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
