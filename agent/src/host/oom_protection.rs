//! Keeps this process alive and responsive during the memory shortage that it reports.
use std::fs;

use caps::Capability;

use crate::host::{own_memory, privileges};

/// A higher priority, because reports are needed when the node is busy, and take little CPU time.
const NICE: libc::c_int = -10;

/// This process's wish to be killed or spared, from -1000 to 1000.
const SCORE: &str = "/proc/self/oom_score_adj";

/// A process that the OOM killer takes before all others.
#[must_use]
pub struct FirstVictim {
    /// Its own score.
    before: Option<String>,
}

/// Makes this process the OOM killer's first choice. The kernel loads programs into blocks of two pages and
/// more, and calls the OOM killer where none is left: a start on a fragmented node must cost no container.
/// A failure is only logged.
pub fn be_first_victim() -> FirstVictim {
    let before = fs::read_to_string(SCORE).map(|score| score.trim().to_owned());
    if let Err(error) = fs::write(SCORE, "1000") {
        log::info!("could not raise oom_score_adj, the start may have others killed: {error}");
    }
    FirstVictim { before: before.ok() }
}

impl FirstVictim {
    /// Lowers the OOM score, raises the priority and locks memory, now that nothing is loaded any more.
    /// None of it is required to run, so a failure is only logged.
    pub fn protect(self) {
        if let Err(error) = fs::write(SCORE, "-999") {
            log::info!(
                "could not lower oom_score_adj, the OOM killer may choose fragwatch: {error}"
            );
            // The score that it had may always be taken again.
            if let Some(Err(error)) = self.before.map(|before| fs::write(SCORE, before)) {
                log::warn!(
                    "could not restore oom_score_adj, the OOM killer prefers fragwatch: {error}"
                );
            }
        }
        protect_memory();
    }
}

/// Raises the priority and locks memory.
fn protect_memory() {
    // SAFETY: takes no pointer; it only changes this process's own priority.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0 {
        let error = std::io::Error::last_os_error();
        log::info!("could not raise the priority, reports may be late on a busy node: {error}");
    }
    own_memory::release_free();
    own_memory::forget_file();
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
/// worse than unlocked memory. Where there is one, threads keep `CAP_IPC_LOCK`.
fn may_lock_without_limit() -> bool {
    privileges::held(Capability::CAP_IPC_LOCK) || own_memory::is_lock_unlimited()
}
