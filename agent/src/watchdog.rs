//! The end, even when whoever reads the report does not read: a full pipe or a stopped terminal
//! blocks the thread that writes, and with it the one that would take the signal.
use std::{io, process, thread, time::Duration};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::privileges;

/// How long an end in order may take: some lines to write, some programs to detach.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts a thread that ends the process with exit code 1 when it is still there some seconds after
/// SIGINT or SIGTERM. The kernel detaches what was attached.
pub fn start() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let watch = move || {
        if let Err(error) = privileges::give_back_all() {
            log::warn!("the watchdog could not give back its capabilities: {error}");
        }
        if signals.forever().next().is_some() {
            thread::sleep(PATIENCE);
            anstream::eprintln!(
                "fragwatch: the report could not be written to its end within {} s of the signal: \
                 nobody reads it",
                PATIENCE.as_secs()
            );
            process::exit(1);
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}
