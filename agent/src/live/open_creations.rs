//! Creations that have not ended, and what each waits for: the kernel walks over all threads for that, so it is
//! asked only if some creation has been without an end for long.
use std::{
    fs::File,
    io::{self, ErrorKind, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use fragwatch_core::model::{
    event::{CreationKey, Task},
    open_creation::OpenCreation,
};
use fragwatch_ebpf::{
    OpenCreation as Record, Step,
    table::{ITERATES_TASKS, OPEN_CREATIONS},
};

use crate::{
    kernel::{
        bpf::{self, Purpose},
        btf::Prototypes,
        symbols::Symbols,
    },
    live::{Instructions, decode::text},
};

/// How often the kernel is asked while there is reason to.
const PERIOD: Duration = Duration::from_secs(5);
/// How often [`Schedule::is_due`] is called.
const TICK: Duration = Duration::from_secs(1);
/// A creation that takes longer is reported; see [`LONG_NS`](fragwatch_core::correlate::unfinished::LONG_NS).
const LONG: Duration = Duration::from_nanos(fragwatch_core::correlate::unfinished::LONG_NS);

/// The loaded iterator.
pub(super) struct OpenCreations {
    program: OwnedFd,
}

impl OpenCreations {
    /// Loads it.
    pub(super) fn load(instructions: &Instructions, functions: &Prototypes) -> io::Result<Self> {
        let function =
            functions.get(ITERATES_TASKS).ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        let program = instructions.load(OPEN_CREATIONS, Purpose::Iterator(function.id))?;
        Ok(Self { program })
    }

    /// All creations that have not ended.
    pub(super) fn read(&self, symbols: &mut Symbols) -> io::Result<Vec<OpenCreation>> {
        let mut bytes = Vec::new();
        self.start()?.read_to_end(&mut bytes)?;
        let records = Record::read_all(&bytes);
        Ok(records.map(|record| open_creation(&record, symbols)).collect())
    }

    /// A file that the iterator writes while it is read.
    fn start(&self) -> io::Result<File> {
        bpf::iterate(self.program.as_fd()).map(File::from)
    }
}

fn open_creation(record: &Record, symbols: &mut Symbols) -> OpenCreation {
    let stack = record.stack.get(..record.frames as usize).unwrap_or(&record.stack);
    OpenCreation {
        creation: CreationKey { began_ns: record.creation_ns, tid: record.tid },
        task: Task {
            pid: record.tgid,
            tid: record.tid,
            comm: text(&record.comm),
            cgroup_id: record.cgroup_id,
            user: None,
        },
        step: Step::from_number(record.step).into(),
        namespaces: record.namespaces,
        stall_ns: record.stall_ns,
        stack: (!stack.is_empty()).then(|| symbols.stack(stack)),
    }
}

/// When the kernel is asked.
#[derive(Default)]
pub(super) struct Schedule {
    /// Since when there has been no moment without a creation under way, `CLOCK_MONOTONIC` in nanoseconds.
    since_ns: Option<u64>,
    /// When it was asked last.
    asked_ns: u64,
    /// Creations without an end, by the counters, when this was last called.
    without_end: u64,
    /// Of these, those whose end was not seen: the kernel did not find them.
    stale: u64,
}

impl Schedule {
    /// Whether it is time to ask: `without_end` is how many creations have begun and not ended, by the counters,
    /// `long` whether one is known to have been without an end for long.
    pub(super) fn is_due(&mut self, without_end: u64, long: bool, now_ns: u64) -> bool {
        self.without_end = without_end;
        self.stale = self.stale.min(without_end);
        let is_open = without_end > self.stale;
        let since_ns = *self.since_ns.get_or_insert(now_ns);
        if !is_open {
            self.since_ns = None;
        }
        let elapsed = |from_ns: u64| Duration::from_nanos(now_ns.saturating_sub(from_ns));
        // It may have begun right after the tick before.
        let is_long = is_open && elapsed(since_ns) + TICK >= LONG;
        let is_due = (is_long || long) && elapsed(self.asked_ns) >= PERIOD;
        if is_due {
            self.asked_ns = now_ns;
        }
        is_due
    }

    /// Takes note of how many the kernel found.
    pub(super) fn note(&mut self, found: usize) {
        self.stale = self.without_end.saturating_sub(found as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_node_on_which_creations_end_asks_for_nothing() {
        let mut schedule = Schedule::default();
        for second in 0..100 {
            assert!(!schedule.is_due(second % 7, false, second * SECOND), "{second}");
        }
    }

    #[test]
    fn one_that_does_not_end_is_asked_for_now_and_then() {
        let mut schedule = Schedule::default();
        let asked: Vec<u64> =
            (1..30).filter(|second| schedule.is_due(1, false, second * SECOND)).collect();
        assert_eq!(asked, [10, 15, 20, 25]);
    }

    #[test]
    fn one_that_has_lost_its_end_is_asked_for_too() {
        let mut schedule = Schedule::default();
        let asked: Vec<u64> =
            (6..20).filter(|second| schedule.is_due(0, true, second * SECOND)).collect();
        assert_eq!(asked, [6, 11, 16]);
    }

    #[test]
    fn one_whose_end_was_not_seen_is_no_reason_to_ask_again() {
        let mut schedule = Schedule::default();
        let mut asked = Vec::new();
        for second in 1..60 {
            // Another one begins at 30.
            let without_end = if second < 30 { 1 } else { 2 };
            if schedule.is_due(without_end, false, second * SECOND) {
                asked.push(second);
                schedule.note(usize::from(second >= 30));
            }
        }
        assert_eq!(asked, [10, 39, 44, 49, 54, 59]);
    }
}
