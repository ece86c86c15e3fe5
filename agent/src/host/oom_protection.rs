//! Staying alive in the memory shortage that is to be reported.
use std::fs;

use caps::Capability;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::host::privileges;

/// A report is short work, and is wanted when the node is busy.
const NICE: libc::c_int = -10;

/// Makes the OOM killer choose others, keeps what is resident resident, and asks to be run soon.
/// None of it is needed to run, so a refusal is only logged.
pub fn prepare() {
    if let Err(error) = fs::write("/proc/self/oom_score_adj", "-999") {
        log::info!("could not lower oom_score_adj, the OOM killer may choose fragwatch: {error}");
    }
    // SAFETY: takes no pointer; it only changes this process's own priority.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0 {
        let error = std::io::Error::last_os_error();
        log::info!("could not raise the priority, reports may be late on a busy node: {error}");
    }
    give_back();
    if !may_lock_for_good() {
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

/// Whether locked memory may grow without end. Under a limit an allocation that would pass it fails
/// one day, which is worse than not to be locked.
fn may_lock_for_good() -> bool {
    privileges::held(Capability::CAP_IPC_LOCK)
        || getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY)
}

/// Returns to the kernel what starting up took (the kernel's type information is tens of MiB).
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; it may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
