//! What this process is allowed to do, what it needs for what, and giving it back.
use std::collections::HashSet;

use caps::{CapSet, Capability, errors::CapsError};
use nix::sys::prctl::set_dumpable;

/// Capabilities that are missing.
#[derive(Debug, thiserror::Error)]
#[error(
    "tracing the kernel needs {}, which this process does not have: run fragwatch as root, or give \
     it these capabilities (setcap, or ambient in its service)",
    missing.join(" and ")
)]
pub struct MissingCapabilities {
    /// Their names.
    pub missing: Vec<String>,
}

/// A capability that fragwatch has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Which.
    pub capability: Capability,
    /// Nothing can be traced without it.
    pub required: bool,
    /// What for.
    pub purpose: &'static str,
    /// What is lost without it, in words.
    pub lost: &'static str,
}

/// All that fragwatch has a use for, the most important first (Linux 5.8 and later). Which check of
/// the kernel asks for each stands beside it.
pub const USES: [Use; 8] = [
    // kernel/bpf/syscall.c, bpf_capable
    Use {
        capability: Capability::CAP_BPF,
        required: true,
        purpose: "loads the programs and their maps",
        lost: "everything",
    },
    // kernel/bpf/syscall.c and kernel/events/core.c, perfmon_capable
    Use {
        capability: Capability::CAP_PERFMON,
        required: true,
        purpose: "attaches the programs and lets them read the kernel's memory",
        lost: "everything",
    },
    // kernel/ksyms_common.c, kallsyms_show_value
    Use {
        capability: Capability::CAP_SYSLOG,
        required: false,
        purpose: "shows addresses in /proc/kallsyms and /proc/modules",
        lost: "names of functions: who asked for an allocation, which subsystem failed, and \
               whether an interrupt made the allocation",
    },
    // fs/tracefs/inode.c: its directories are root's alone, as runtimes' mostly are
    Use {
        capability: Capability::CAP_DAC_READ_SEARCH,
        required: false,
        purpose: "reads the numbers of tracepoints in tracefs, which only root may enter, and names \
                  of containers in the runtimes' directories",
        lost: "every hook that is a tracepoint, and most containers' names, unless fragwatch runs \
               as user root",
    },
    // kernel/events/hw_breakpoint.c, hw_breakpoint_parse; Debian's perf_event_open
    Use {
        capability: Capability::CAP_SYS_ADMIN,
        required: false,
        purpose: "sets an execution breakpoint in the kernel, where slow-path-entered has no other \
                  candidate, and attaches kprobes and tracepoints where \
                  kernel.perf_event_paranoid is above 2",
        lost: "slow-path-entered on kernels that inlined wake_all_kswapds; every kprobe and \
               tracepoint where kernel.perf_event_paranoid is above 2",
    },
    // fs/proc/base.c, __set_oom_adj; before 5.11 kernel/bpf/syscall.c charges RLIMIT_MEMLOCK
    Use {
        capability: Capability::CAP_SYS_RESOURCE,
        required: false,
        purpose: "lowers oom_score_adj, and before Linux 5.11 raises the limit that maps count \
                  against",
        lost: "protection from the OOM killer; before Linux 5.11 everything, unless \
               RLIMIT_MEMLOCK is unlimited",
    },
    // mm/mlock.c, can_do_mlock
    Use {
        capability: Capability::CAP_IPC_LOCK,
        required: false,
        purpose: "locks fragwatch's memory",
        lost: "reports in time under memory pressure: fragwatch's own pages may be reclaimed",
    },
    // kernel/sys.c, set_one_prio
    Use {
        capability: Capability::CAP_SYS_NICE,
        required: false,
        purpose: "runs reports at nice -10",
        lost: "reports in time on a busy node",
    },
];

/// What stays when all is attached: modules are loaded later, and their names wanted then; and
/// memory that is locked counts against a limit whenever more of it is asked for.
const KEPT: [Capability; 2] = [Capability::CAP_SYSLOG, Capability::CAP_IPC_LOCK];

/// What bpf(2) as a whole asked for before Linux 6.0, where `kernel.unprivileged_bpf_disabled` is
/// set: reading a map whose descriptor is held, too.
const FOR_MAPS: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_SYS_ADMIN];

/// Whether a capability is in force. `CAP_SYS_ADMIN` has in it what `CAP_BPF`, `CAP_PERFMON` and
/// `CAP_SYSLOG` allow here, but the kernel's symbols ask for the very `CAP_SYSLOG`.
pub fn held(capability: Capability) -> bool {
    // What can't be asked counts as not held: the kernel would say no a moment later.
    let has = |cap| caps::has_cap(None, CapSet::Effective, cap).unwrap_or(false);
    let covered = matches!(capability, Capability::CAP_BPF | Capability::CAP_PERFMON);
    has(capability) || covered && has(Capability::CAP_SYS_ADMIN)
}

/// Checks that the programs may be loaded, before anything is tried.
pub fn check() -> Result<(), MissingCapabilities> {
    let missing: Vec<String> = USES
        .iter()
        .filter(|u| u.required && !held(u.capability))
        .map(|u| u.capability.to_string())
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(MissingCapabilities { missing }) }
}

/// Makes this process's files under /proc its own user's again: a program that got capabilities from
/// its file starts with root's, and could not even write its own oom_score_adj. Others gain nothing
/// by it: to trace a process takes all of its capabilities.
pub fn own_proc_files() {
    if let Err(error) = set_dumpable(true) {
        log::debug!("could not make /proc/self fragwatch's own: {error}");
    }
}

/// Gives back, for good, what this thread does not need any more once all is attached. `works` says
/// whether maps can still be read.
pub fn give_back(works: impl Fn() -> bool) -> Result<(), CapsError> {
    empty_bounding_set();
    let permitted = caps::read(None, CapSet::Permitted)?;
    let mut kept: HashSet<Capability> =
        KEPT.into_iter().filter(|cap| permitted.contains(cap)).collect();
    caps::set(None, CapSet::Effective, &kept)?;
    if !works() {
        kept.extend(FOR_MAPS.into_iter().find(|cap| permitted.contains(cap)));
        caps::set(None, CapSet::Effective, &kept)?;
    }
    keep_only(&kept)
}

/// Gives back all that this thread has but the right to read whatever is there, if it has that.
pub fn keep_reading() -> Result<(), CapsError> {
    empty_bounding_set();
    let permitted = caps::read(None, CapSet::Permitted)?;
    let wanted = [Capability::CAP_DAC_READ_SEARCH];
    let kept = wanted.into_iter().filter(|cap| permitted.contains(cap)).collect();
    caps::set(None, CapSet::Effective, &kept)?;
    keep_only(&kept)
}

/// Gives back everything that this thread has.
pub fn give_back_all() -> Result<(), CapsError> {
    empty_bounding_set();
    caps::clear(None, CapSet::Effective)?;
    keep_only(&HashSet::new())
}

/// What is left to this thread, and to programs that it might start, is at most `kept`.
fn keep_only(kept: &HashSet<Capability>) -> Result<(), CapsError> {
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Permitted, kept)
}

/// Lets no program that might be started have any capability, not even root's.
fn empty_bounding_set() {
    // It takes CAP_SETPCAP. Without it there is nothing that a started program could get but by its
    // own file.
    let _ = caps::clear(None, CapSet::Bounding);
}
