//! Limits that refuse a step of a container's start, where the step and its error say which.
//!
//! Rules, by the functions of Linux 5.8–7.2 that return the error:
//! - fork with EAGAIN (kernel/fork.c `copy_process`) is a limit on processes: `RLIMIT_NPROC` if the user had as
//!   many as that allows, and is not root; `kernel.threads-max` or `kernel.pid_max` if the node had about as
//!   many right after. `pids.max` is seen by a hook of its own. Execution with EAGAIN is `RLIMIT_NPROC` alone
//!   (fs/exec.c `do_execveat_common`).
//! - A session keyring with EDQUOT (security/keys/key.c `key_alloc`) is the user's quota of keys.
//! - A seccomp filter or BPF program with ENOTSUPP (kernel/bpf/core.c `bpf_prog_select_runtime`) was not
//!   compiled: the memory for compiled programs, `net.core.bpf_jit_limit`, is used up, most likely.
//! - A BPF program with EPERM for root, before 5.11, is `RLIMIT_MEMLOCK` (kernel/bpf/syscall.c
//!   `bpf_prog_charge_memlock`), or a check of rights.
//! - A mount with ENOSPC is `fs.mount-max` (fs/namespace.c `count_mounts`), or what the file system itself
//!   returned. A link with EXFULL is a bridge without a free port.
use crate::{
    diagnose::{Evidence, other_limits, pids_limit},
    model::{
        errno,
        event::{FailedStep, StartStep},
        program_message::OtherLimit,
        verdict::{Cause, Confidence, Remedy, Verdict},
    },
    units,
};

/// `ENOTSUPP` of include/linux/errno.h, which no C library names.
const ENOTSUPP: i32 = 524;

/// Pids that only root's processes get (kernel/pid.c `RESERVED_PIDS`).
const RESERVED_PIDS: u64 = 300;

const JIT: [Remedy; 2] = [
    Remedy {
        title: "see how much compiled programs and filters hold",
        command: "sysctl net.core.bpf_jit_limit; grep -E 'bpf_jit|bpf_prog' /proc/vmallocinfo | awk '{sum += $2} END {print sum}'",
        risk: "none",
        durable: false,
    },
    Remedy {
        title: "raise the limit",
        command: "sysctl -w net.core.bpf_jit_limit=$(( $(sysctl -n net.core.bpf_jit_limit) * 2 ))",
        risk: "users may hold more kernel memory; put it under /etc/sysctl.d to keep it",
        durable: true,
    },
];

const MEMLOCK: [Remedy; 1] = [Remedy {
    title: "raise the runtime's limit of locked memory",
    command: "systemctl edit <unit>: LimitMEMLOCK=infinity",
    risk: "it may lock more memory",
    durable: true,
}];

/// The verdict on a limit on processes, if the rule holds.
pub(super) fn on_processes(evidence: &Evidence) -> Option<Verdict> {
    let failed = evidence.failed_step.filter(|failed| failed.errno == libc::EAGAIN)?;
    if !matches!(failed.step, StartStep::Fork | StartStep::Exec) {
        return None;
    }
    let mut not_seen = evidence.gaps();
    if let (Some(count), Some(limit), true) =
        (failed.processes, failed.process_limit, failed.uid != 0)
        && count >= limit
    {
        let because = format!(
            "user {} had {} processes and threads, and its RLIMIT_NPROC is {}",
            failed.uid,
            units::grouped(count),
            units::grouped(limit)
        );
        return Some(pids_limit::of_user(because, not_seen));
    }
    let mut because = vec![format!(
        "{} failed with EAGAIN, which the kernel returns for limits on processes and not for memory",
        if failed.step == StartStep::Fork { "making a process" } else { "executing a program" }
    )];
    because.extend(machines(evidence));
    not_seen.push(if because.len() > 1 {
        "how many processes and threads there were at that moment".to_owned()
    } else {
        "which limit on processes it was".to_owned()
    });
    Some(pids_limit::of_machine(because, not_seen))
}

/// The machine's own limit that was about to be reached when the node's facts were read.
fn machines(evidence: &Evidence) -> Option<String> {
    let reading = evidence.node?;
    let threads = reading.facts.threads?;
    let full = |limit: Option<u64>| limit.filter(|limit| threads + RESERVED_PIDS >= *limit);
    let (name, limit) = full(reading.facts.pid_max)
        .map(|limit| ("kernel.pid_max", limit))
        .or_else(|| Some(("kernel.threads-max", full(reading.facts.threads_max)?)))?;
    Some(format!(
        "the node had {} processes and threads, {}, and {name} is {}",
        units::grouped(threads),
        reading.when(),
        units::grouped(limit)
    ))
}

/// The verdict on another limit, if a rule holds.
pub(super) fn on_others(evidence: &Evidence) -> Option<Verdict> {
    let failed = evidence.failed_step?;
    if evidence.decisive().is_some() || evidence.oom().is_some() || !evidence.charges.is_empty() {
        return None;
    }
    let mut not_seen = evidence.gaps();
    let (because, remedies) = match (failed.step, failed.errno) {
        (StartStep::Keyring, libc::EDQUOT) => {
            let because = format!("{}; it is user {}", OtherLimit::Keys.reason(), failed.uid);
            (because, other_limits::remedies(OtherLimit::Keys))
        }
        (StartStep::Seccomp | StartStep::BpfProgram, ENOTSUPP) => {
            not_seen.push(
                "whether it was the limit: the compiler may have failed for another reason"
                    .to_owned(),
            );
            let because = "the kernel could not compile the program: the memory that compiled \
                           programs may have, net.core.bpf_jit_limit, is used up"
                .to_owned();
            (because, JIT.to_vec())
        }
        (StartStep::BpfProgram, libc::EPERM) => {
            let before_5_11 = evidence.kernel.is_some_and(|kernel| !kernel.is_at_least(5, 11));
            if !before_5_11 || failed.uid != 0 {
                return None;
            }
            not_seen.push("whether it was that limit, or a check of rights".to_owned());
            let because =
                "before Linux 5.11 a program's memory counts against RLIMIT_MEMLOCK, and is \
                           refused with EPERM"
                    .to_owned();
            (because, MEMLOCK.to_vec())
        }
        (StartStep::Mount, libc::ENOSPC) => {
            not_seen.push("whether it was that limit, or the file system that was full".to_owned());
            (OtherLimit::Mounts.reason().to_owned(), other_limits::remedies(OtherLimit::Mounts))
        }
        (StartStep::Link, libc::EXFULL) => {
            let limit = OtherLimit::BridgePorts;
            (limit.reason().to_owned(), other_limits::remedies(limit))
        }
        (_, libc::EMFILE | libc::ENFILE) => {
            let limit = OtherLimit::OpenFiles;
            (limit.reason().to_owned(), other_limits::remedies(limit))
        }
        (StartStep::CgroupEntry, libc::ENOSPC) => {
            let limit = OtherLimit::Cpuset;
            (limit.reason().to_owned(), other_limits::remedies(limit))
        }
        _ => return None,
    };
    let error = format!("it failed with {}, not for memory", name(failed));
    Some(Verdict {
        cause: Cause::NotMemory,
        confidence: Confidence::without(&not_seen),
        because: vec![error, because],
        not_seen,
        remedies,
        no_help: vec!["compaction, or more memory: this is a limit"],
    })
}

/// The error's name.
fn name(failed: &FailedStep) -> String {
    if failed.errno == ENOTSUPP { "ENOTSUPP".to_owned() } else { errno::name(failed.errno) }
}

#[cfg(test)]
mod tests;
