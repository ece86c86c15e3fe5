//! What this process takes, for the metrics.
use std::{fs, time::Duration};

use jiff::Timestamp;
use nix::{
    sys::resource::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use crate::serve::metrics::Process;

/// Every how many times open files are counted: the kernel makes an entry for each.
const COUNT_FDS: u32 = 6;

/// Reads it.
pub(super) struct ProcessReader {
    page_size: u64,
    started: Duration,
    open_fds: u64,
    max_fds: u64,
    /// How often it was read.
    turns: u32,
}

impl ProcessReader {
    pub(super) fn new(page_size: u64) -> Self {
        Self {
            page_size,
            started: Timestamp::now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs(),
            open_fds: 0,
            turns: 0,
            max_fds: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft),
        }
    }

    /// What can't be read is 0.
    pub(super) fn read(&mut self) -> Process {
        let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
        if self.turns.is_multiple_of(COUNT_FDS) {
            // One of them is the directory itself.
            let fds = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count).saturating_sub(1);
            self.open_fds = fds as u64;
        }
        self.turns = self.turns.wrapping_add(1);
        Process {
            cpu: cpu.map(Duration::from).unwrap_or_default(),
            resident_bytes: pages.saturating_mul(self.page_size),
            open_fds: self.open_fds,
            max_fds: self.max_fds,
            started: self.started,
        }
    }
}
