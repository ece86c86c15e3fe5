//! What the kernel side counts, as it was last read: each counter takes a system call, and missed runs one for
//! each program.
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::{MapData, MapError, PerCpuArray};
use fragwatch_ebpf::Counter;

use crate::live::missed_runs::MissedRuns;

/// The counters of the programs, and how often the kernel skipped these.
pub(super) struct Counters {
    map: PerCpuArray<MapData, u64>,
    programs: MissedRuns,
    last: [AtomicU64; Counter::ALL.len()],
    missed_runs: AtomicU64,
}

impl Counters {
    /// All zero until they are read.
    pub(super) fn new(map: PerCpuArray<MapData, u64>, programs: MissedRuns) -> Self {
        let last = [const { AtomicU64::new(0) }; Counter::ALL.len()];
        Self { map, programs, last, missed_runs: AtomicU64::new(0) }
    }

    /// Reads the counters, in their order: a creation that ends meanwhile is not taken for unfinished.
    pub(super) fn read(&self) -> Result<(), MapError> {
        for (counter, last) in Counter::ALL.iter().zip(&self.last) {
            // Of two threads that read, the one that read first may come last.
            last.fetch_max(self.map.get(&(*counter as u32), 0)?.iter().sum(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads how often the kernel skipped the programs.
    pub(super) fn read_missed_runs(&self) {
        self.missed_runs.store(self.programs.count(), Ordering::Relaxed);
    }

    /// A counter as it was last read.
    pub(super) fn last(&self, counter: Counter) -> u64 {
        self.last[counter as usize].load(Ordering::Relaxed)
    }

    /// How often the kernel had skipped the programs when that was last read.
    pub(super) fn missed_runs(&self) -> u64 {
        self.missed_runs.load(Ordering::Relaxed)
    }
}
