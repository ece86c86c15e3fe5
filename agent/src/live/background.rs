//! What is read beside the event loop, because it takes long: once the names of the kernel's functions, and now
//! and then missed runs, and on kernels that print no names the functions of modules that are loaded later.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    host::privileges,
    kernel::symbols::modules::{self, SharedModules},
    live::{missed_runs::MissedRuns, unchecked_names::Unchecked},
};

/// How often the list of modules is read, where it is.
const MODULES_PERIOD: Duration = Duration::from_secs(1);

/// How often missed runs are read: for each program it is a file.
const MISSED_RUNS_PERIOD: Duration = Duration::from_secs(10);

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 128 << 10;

/// What the thread has read last.
#[derive(Default)]
pub(super) struct Background {
    missed_runs: AtomicU64,
}

impl Background {
    /// Starts the thread, which ends when what is returned is dropped.
    pub(super) fn start(
        programs: Arc<MissedRuns>,
        modules: Option<SharedModules>,
        unchecked: Option<Unchecked>,
    ) -> io::Result<Arc<Self>> {
        let background = Arc::new(Self::default());
        let weak = Arc::downgrade(&background);
        let work = move || {
            let prepared = match &modules {
                Some(_) => privileges::drop_all_but_symbols(),
                None => privileges::drop_all(),
            };
            if let Err(error) = prepared {
                log::warn!("the background thread could not give up capabilities: {error}");
            }
            if let Some(unchecked) = unchecked {
                unchecked.check();
            }
            let period = if modules.is_some() { MODULES_PERIOD } else { MISSED_RUNS_PERIOD };
            let mut since_count = MISSED_RUNS_PERIOD;
            while let Some(background) = weak.upgrade() {
                if since_count >= MISSED_RUNS_PERIOD {
                    background.missed_runs.store(programs.count(), Ordering::Relaxed);
                    since_count = Duration::ZERO;
                }
                if let Some(modules) = &modules
                    && let Err(error) = modules::refresh(modules)
                {
                    log::debug!("functions of modules have no names: {error}");
                }
                drop(background);
                thread::sleep(period);
                since_count += period;
            }
        };
        thread::Builder::new().name("background".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(background)
    }

    /// How often the kernel had skipped a program when that was last read.
    pub(super) fn missed_runs(&self) -> u64 {
        self.missed_runs.load(Ordering::Relaxed)
    }
}
