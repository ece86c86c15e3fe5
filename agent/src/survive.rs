//! Staying alive in the memory shortage that is to be reported.
use std::fs;

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
    // SAFETY: takes no pointer; it only changes how this process's pages are kept. ONFAULT: pages
    // are locked when they are first used, not all at once.
    let locked =
        unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    if locked != 0 {
        let error = std::io::Error::last_os_error();
        log::info!("could not lock memory, fragwatch may be slow under pressure: {error}");
    }
}

/// Returns to the kernel what starting up took (the kernel's type information is tens of MiB).
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; it may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
