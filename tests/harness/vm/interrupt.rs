//! SIGINT and SIGTERM: they end all machines of this process, and no other one is started.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// A machine was killed because of a signal.
#[derive(Debug, Clone, Copy)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("interrupted: the virtual machine was killed")
    }
}

impl std::error::Error for Interrupted {}

/// Has the signals noticed from now on; fails with [`Interrupted`] if there was one.
pub(super) fn watch() -> Result<()> {
    if INTERRUPTED.get().is_none() {
        let flag = Arc::new(AtomicBool::new(false));
        [SIGINT, SIGTERM]
            .iter()
            .try_for_each(|signal| {
                signal_hook::flag::register(*signal, Arc::clone(&flag))?;
                io::Result::Ok(())
            })
            .context("can't watch for Ctrl-C")?;
        // Of two threads that come here at once, one's flag is set in vain.
        let _ = INTERRUPTED.set(flag);
    }
    check()
}

/// Fails with [`Interrupted`] after a signal.
pub(super) fn check() -> Result<()> {
    let interrupted = INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed));
    if interrupted { Err(Interrupted.into()) } else { Ok(()) }
}
