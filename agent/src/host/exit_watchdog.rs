//! The end, even when whoever reads the report does not read: a full pipe or a stopped terminal
//! blocks the thread that writes, and with it the one that would take the signal.
use std::{
    io, process,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::host::privileges;

/// How long the report may stand still after a signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// Steps that were made. On a busy node many events may still wait when the signal comes.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Says that the report goes on.
pub fn step() {
    STEPS.fetch_add(1, Ordering::Relaxed);
}

/// Starts a thread that ends the process with exit code 1 when, after SIGINT or SIGTERM, the report
/// stands still for some seconds. The kernel detaches what was attached.
pub fn start() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let watch = move || {
        if let Err(error) = privileges::give_back_all() {
            log::warn!("the exit_watchdog could not give back its capabilities: {error}");
        }
        if signals.forever().next().is_some() {
            let mut seen = None;
            // What waits is finite: nothing is attached any more.
            while seen != Some(STEPS.load(Ordering::Relaxed)) {
                seen = Some(STEPS.load(Ordering::Relaxed));
                thread::sleep(PATIENCE);
            }
            anstream::eprintln!(
                "fragwatch: the report could not be written to its end: after the signal it stood \
                 still for {} s, so nobody reads it",
                PATIENCE.as_secs()
            );
            process::exit(1);
        }
    };
    thread::Builder::new().name("exit_watchdog".to_owned()).spawn(watch).map(drop)
}
