//! Ends the process after a signal even if stdout blocks: a full pipe or a stopped terminal blocks the
//! thread that writes the report, which is also the one that handles signals.
use std::{
    io, process,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::host::privileges;

/// How long the main thread may make no progress after a signal.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Counts progress. On a busy node many events may be waiting when the signal arrives, and processing
/// them is progress.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Notes progress; called for each event.
pub fn step() {
    STEPS.fetch_add(1, Ordering::Relaxed);
}

/// While this is true, the kernel is waited for, and not stdout.
static DETACHING: AtomicBool = AtomicBool::new(false);

/// Lets the kernel take the time that it needs to detach programs: on a busy node more than 5 s for one of them.
pub fn while_detaching(detach: impl FnOnce()) {
    DETACHING.store(true, Ordering::Relaxed);
    detach();
    step();
    DETACHING.store(false, Ordering::Relaxed);
}

/// Starts a thread that exits the process with code 1 if, after SIGINT or SIGTERM, there is no progress
/// for 5 s. The kernel detaches all programs on exit.
///
/// # Errors
/// If the thread or the signal handler could not be started.
pub fn start() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let watch = move || {
        if let Err(error) = privileges::drop_all() {
            log::warn!("the exit watchdog could not give up its capabilities: {error}");
        }
        if signals.forever().next().is_some() {
            let mut seen = None;
            // This terminates, because no program is attached any more and so no event is added.
            while DETACHING.load(Ordering::Relaxed) || seen != Some(STEPS.load(Ordering::Relaxed)) {
                seen = Some(STEPS.load(Ordering::Relaxed));
                thread::sleep(TIMEOUT);
            }
            anstream::eprintln!(
                "fragwatch: the report could not be completed: stdout accepted nothing for {} s after \
                 the signal",
                TIMEOUT.as_secs()
            );
            process::exit(1);
        }
    };
    thread::Builder::new().name("exit_watchdog".to_owned()).spawn(watch).map(drop)
}
