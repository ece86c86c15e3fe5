//! Capabilities: which are needed and for what, which are effective, and giving them up.
use std::collections::HashSet;

use caps::{CapSet, Capability, errors::CapsError};
use nix::sys::prctl::set_dumpable;

use crate::host::own_memory;

/// The error for missing required capabilities.
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

/// A capability that fragwatch uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The capability.
    pub capability: Capability,
    /// Whether tracing is impossible without it.
    pub required: bool,
    /// What it is used for.
    pub purpose: &'static str,
    /// What can't be observed without it.
    pub lost: &'static str,
}

/// All capabilities that fragwatch uses, the most important first (Linux 5.8 and later). A comment names
/// the kernel's check for each.
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
        purpose: "before Linux 5.13 shows addresses in /proc/kallsyms and /proc/modules",
        lost: "before Linux 5.13 names of functions: which one requested an allocation, which \
               subsystem failed, and whether an interrupt made the allocation",
    },
    // fs/tracefs/inode.c: its directories are root's alone, as runtimes' mostly are
    Use {
        capability: Capability::CAP_DAC_READ_SEARCH,
        required: false,
        purpose: "reads names of containers in the runtimes' directories, and the ids of \
                  tracepoints in tracefs, which stand in where there are no kprobes",
        lost: "most containers' names, and on kernels without kprobes every hook, unless \
               fragwatch runs as user root",
    },
    // Debian's perf_event_open
    Use {
        capability: Capability::CAP_SYS_ADMIN,
        required: false,
        purpose: "attaches kprobes before Linux 5.18, and tracepoints, where \
                  kernel.perf_event_paranoid is above 2",
        lost: "where kernel.perf_event_paranoid is above 2, every kprobe before Linux 5.18 and \
               every tracepoint that stands in for one",
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

/// What is kept after attaching: memory that is allocated later is locked.
const KEPT: [Capability; 1] = [Capability::CAP_IPC_LOCK];

/// Capabilities, one of which every bpf(2) call required before Linux 6.0 if
/// `kernel.unprivileged_bpf_disabled` is set, even reading an open map.
const FOR_MAPS: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_SYS_ADMIN];

/// Whether a capability is effective. `CAP_SYS_ADMIN` includes `CAP_BPF` and `CAP_PERFMON`; it does not
/// replace `CAP_SYSLOG`, because reading kernel symbols requires that one.
pub fn held(capability: Capability) -> bool {
    // If it can't be determined, it counts as missing.
    let has = |cap| caps::has_cap(None, CapSet::Effective, cap).unwrap_or(false);
    let covered = matches!(capability, Capability::CAP_BPF | Capability::CAP_PERFMON);
    has(capability) || covered && has(Capability::CAP_SYS_ADMIN)
}

/// Checks that all required capabilities are effective.
pub fn check() -> Result<(), MissingCapabilities> {
    let missing: Vec<String> = USES
        .iter()
        .filter(|u| u.required && !held(u.capability))
        .map(|u| u.capability.to_string())
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(MissingCapabilities { missing }) }
}

/// Makes this process's files under /proc belong to its user. They belong to root if the capabilities
/// come from the executable file, and then not even `oom_score_adj` is writable. This is safe, because
/// tracing the process still requires all of its capabilities.
pub fn own_proc_files() {
    if let Err(error) = set_dumpable(true) {
        log::debug!("could not make /proc/self writable: {error}");
    }
}

/// Gives up, irreversibly, the capabilities that this thread does not need after attaching. `works`
/// returns whether maps can still be read.
pub fn drop_unneeded(works: impl Fn() -> bool) -> Result<(), CapsError> {
    keep_with_maps(&KEPT, works)
}

/// Gives up all capabilities of this thread except those that reading maps takes, as by [`drop_unneeded`], and
/// with `symbols` the one that shows symbols' addresses.
pub fn drop_all_but_maps(symbols: bool, works: impl Fn() -> bool) -> Result<(), CapsError> {
    let wanted: &[Capability] = if symbols { &[Capability::CAP_SYSLOG] } else { &[] };
    keep_with_maps(wanted, works)
}

fn keep_with_maps(wanted: &[Capability], works: impl Fn() -> bool) -> Result<(), CapsError> {
    empty_bounding_set();
    let permitted = caps::read(None, CapSet::Permitted)?;
    // All of this process is locked, and mapping more than `RLIMIT_MEMLOCK` fails without this one
    // (mm/mmap.c `mlock_future_ok`).
    let to_allocate = (!own_memory::is_lock_unlimited()).then_some(Capability::CAP_IPC_LOCK);
    let wanted = wanted.iter().copied().chain(to_allocate);
    let mut kept: HashSet<Capability> = wanted.filter(|cap| permitted.contains(cap)).collect();
    caps::set(None, CapSet::Effective, &kept)?;
    if !works() {
        kept.extend(FOR_MAPS.into_iter().find(|cap| permitted.contains(cap)));
        caps::set(None, CapSet::Effective, &kept)?;
    }
    keep_only(&kept)
}

/// Gives up all capabilities of this thread except the one that reads others' files.
pub fn drop_all_but_reading() -> Result<(), CapsError> {
    keep_with_maps(&[Capability::CAP_DAC_READ_SEARCH], || true)
}

/// Gives up all capabilities of this thread.
pub fn drop_all() -> Result<(), CapsError> {
    keep_with_maps(&[], || true)
}

/// Limits this thread, and programs that it might start, to `kept`.
fn keep_only(kept: &HashSet<Capability>) -> Result<(), CapsError> {
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Permitted, kept)
}

/// Prevents programs that might be started from gaining capabilities, even as root.
fn empty_bounding_set() {
    // Needs CAP_SETPCAP. Without it, a program could gain capabilities only from its own file.
    let _ = caps::clear(None, CapSet::Bounding);
}
