//! What is read beside the event loop, because it takes long: once the names of the kernel's functions, and now
//! and then counters, missed runs, and on kernels that print no names the functions of modules that are loaded
//! later.
use std::{io, sync::Arc, thread, time::Duration};

use crate::{
    host::privileges,
    kernel::symbols::modules::{self, SharedModules},
    live::{counters::Counters, unchecked_names::Unchecked},
};

/// How often counters are read, and the list of modules, where it is.
const PERIOD: Duration = Duration::from_secs(1);

/// How often missed runs are read, in periods.
const MISSED_RUNS_PERIODS: u32 = 10;

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 128 << 10;

/// Starts the thread. It ends when all other owners of `counters` are gone.
pub(super) fn start(
    counters: &Arc<Counters>,
    modules: Option<SharedModules>,
    unchecked: Option<Unchecked>,
) -> io::Result<()> {
    let counters = Arc::downgrade(counters);
    let mut unchecked = unchecked;
    let work = move || {
        let works = || counters.upgrade().is_none_or(|counters| counters.read().is_ok());
        if let Err(error) = privileges::drop_all_but_maps(modules.is_some(), works) {
            log::warn!("the background thread could not give up capabilities: {error}");
        }
        let mut periods = 0_u32;
        loop {
            thread::sleep(PERIOD);
            let Some(counters) = counters.upgrade() else { return };
            if let Err(error) = counters.read() {
                log::warn!("could not read the eBPF programs' counters: {error}");
            }
            if periods.is_multiple_of(MISSED_RUNS_PERIODS) {
                counters.read_missed_runs();
            }
            periods = periods.wrapping_add(1);
            if let Some(modules) = &modules
                && let Err(error) = modules::refresh(modules)
            {
                log::debug!("functions of modules have no names: {error}");
            }
            // Not before now: it would delay the rest of the start.
            if let Some(unchecked) = unchecked.take() {
                unchecked.check();
            }
        }
    };
    thread::Builder::new().name("background".to_owned()).stack_size(STACK).spawn(work)?;
    Ok(())
}
