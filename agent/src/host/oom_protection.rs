//! Keeps this process alive and responsive during the memory shortage that it reports.
use std::fs;

use caps::Capability;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::host::{own_memory, privileges};

/// A higher priority, because reports are needed when the node is busy, and take little CPU time.
const NICE: libc::c_int = -10;

/// Lowers the OOM score, raises the priority and locks memory. None of it is required to run, so a
/// failure is only logged.
pub fn prepare() {
    if let Err(error) = fs::write("/proc/self/oom_score_adj", "-999") {
        log::info!("could not lower oom_score_adj, the OOM killer may choose fragwatch: {error}");
    }
    // SAFETY: takes no pointer; it only changes this process's own priority.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0 {
        let error = std::io::Error::last_os_error();
        log::info!("could not raise the priority, reports may be late on a busy node: {error}");
    }
    own_memory::release_free();
    if !may_lock_without_limit() {
        log::info!("could not lock memory, fragwatch may be slow under pressure: no CAP_IPC_LOCK");
        return;
    }
    // SAFETY: takes no pointer; it only changes how this process's pages are kept. ONFAULT: pages
    // are locked when they are first used, not all at once.
    let locked =
        unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    if locked != 0 {
        let error = std::io::Error::last_os_error();
        log::info!("could not lock memory, fragwatch may be slow under pressure: {error}");
    }
}

/// Whether locked memory is unlimited. With a limit, a later allocation beyond it would fail, which is
/// worse than unlocked memory.
fn may_lock_without_limit() -> bool {
    privileges::held(Capability::CAP_IPC_LOCK)
        || getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY)
}
