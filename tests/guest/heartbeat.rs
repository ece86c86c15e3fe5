//! How long the machine kept a thread that wants to run from running: what a delay is compared with, because an
//! emulated machine on a busy host stands still now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

const PERIOD: Duration = Duration::from_millis(10);

/// A thread that wakes up every 10 ms.
pub(crate) struct Heartbeat {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Heartbeat {
    pub(crate) fn start() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = ends.clone();
        let thread = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::sleep(PERIOD);
                longest = longest.max(began.elapsed().saturating_sub(PERIOD));
            }
            longest
        });
        Self { ends, thread }
    }

    /// By how much it woke up too late at most.
    pub(crate) fn end(self) -> Result<Duration> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the heartbeat panicked"))
    }
}
