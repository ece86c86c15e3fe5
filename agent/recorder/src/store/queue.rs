//! What waits for the store's thread, and what the thread says of its work.
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Lane, Notice, Payload, Severity, Status, record::Record, segments::MAX_RECORD};
use crate::{packed::Packed, ring::Ring};

/// Bytes of records that wait for the disk, beside the samples in the ring. Of more, the oldest are dropped.
const MAX_WAITING: usize = 1 << 20;

/// Notices that are held until they are taken.
const MAX_NOTICES: usize = 16;

/// Entries of creations are written in batches of this time, and what failed is tried again after it.
const PERIOD: Duration = Duration::from_secs(1);

/// While nothing waits, the thread wakes once in this time.
const IDLE: Duration = Duration::from_mins(1);

/// What the thread shares with its users.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Signalled when the thread should look at the state at once.
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    /// The last samples. Those that are to be stored wait here first.
    ring: Ring,
    /// Records that wait, per lane.
    waiting: [VecDeque<Record>; 3],
    waiting_size: usize,
    pub(super) dropped: u64,
    pub(super) realtime_offset_ns: Option<i64>,
    pub(super) closing: bool,
    /// What waits is wanted on disk at once.
    pub(super) urgent: bool,
    /// The thread waits for any record, not for the end of a period.
    pub(super) idle: bool,
    pub(super) status: Status,
    notices: Vec<Notice>,
}

impl Shared {
    pub(crate) fn new(ring: Ring) -> Self {
        let state = State {
            ring,
            waiting: Default::default(),
            waiting_size: 0,
            dropped: 0,
            realtime_offset_ns: None,
            closing: false,
            urgent: false,
            idle: false,
            status: Status::default(),
            notices: Vec::new(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Adds a sample to the ring; with the number of its entry, it is to be stored.
    pub(crate) fn put_sample(&self, sample: &Packed, sequence: Option<u64>) {
        let mut state = self.lock();
        // The disk is slower than the ring is long.
        while state.ring.is_next_waiting()
            && let Some(record) = state.take_sample()
        {
            state.put(record);
        }
        state.ring.push(sample, sequence);
        drop(state);
        if sequence.is_some() {
            self.wake();
        }
    }

    /// Has the samples stored that are not, under numbers from `sequence` on. Returns how many.
    pub(crate) fn store_samples(&self, sequence: u64) -> u64 {
        let count = self.lock().ring.store_all(sequence);
        self.wake();
        count
    }

    /// Lets the thread look at the state at once.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do; if nothing is `unfinished`, for long.
    pub(super) fn wait(&self, unfinished: bool) {
        let mut state = self.lock();
        let waits = |lane| state.waits(lane);
        if state.closing || state.urgent || waits(Lane::Incidents) || waits(Lane::Samples) {
            return;
        }
        state.idle = !unfinished && !waits(Lane::Creations);
        let timeout = if state.idle { IDLE } else { PERIOD };
        // Woken for nothing, the thread finds nothing to do.
        let (mut state, _) =
            self.changed.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner);
        state.idle = false;
    }

    /// Waits until writing is tried again, or the store is closed.
    pub(super) fn wait_after_error(&self) {
        let state = self.lock();
        drop(self.changed.wait_timeout_while(state, PERIOD, |state| !state.closing));
    }
}

impl State {
    /// Adds a record.
    pub(super) fn put(&mut self, record: Record) {
        if record.size() > MAX_RECORD {
            self.dropped += 1;
            return;
        }
        self.waiting_size += record.size();
        self.waiting[record.lane as usize].push_back(record);
        self.shed();
    }

    /// Drops the oldest records that are too many: creations first, incidents last.
    fn shed(&mut self) {
        for lane in [Lane::Creations, Lane::Samples, Lane::Incidents] {
            while self.waiting_size > MAX_WAITING {
                let Some(oldest) = self.waiting[lane as usize].pop_front() else { break };
                self.waiting_size -= oldest.size();
                self.dropped += 1;
            }
        }
    }

    /// Takes the oldest record of a lane.
    pub(super) fn pop(&mut self, lane: Lane) -> Option<Record> {
        match self.waiting[lane as usize].pop_front() {
            Some(record) => {
                self.waiting_size -= record.size();
                Some(record)
            }
            None if lane == Lane::Samples => self.take_sample(),
            None => None,
        }
    }

    /// Takes the first sample that waits in the ring.
    fn take_sample(&mut self) -> Option<Record> {
        let (sequence, packed) = self.ring.take()?;
        Some(Record { lane: Lane::Samples, sequence, payload: Payload::Sample(Box::new(packed)) })
    }

    /// Whether a lane has records that wait.
    fn waits(&self, lane: Lane) -> bool {
        let in_ring = lane == Lane::Samples && self.ring.waiting() != 0;
        in_ring || !self.waiting[lane as usize].is_empty()
    }

    /// The numbers of all that waits.
    #[cfg(test)]
    pub(super) fn waiting_numbers(&self) -> impl Iterator<Item = u64> + '_ {
        let queued = self.waiting.iter().flatten().map(|record| record.sequence);
        queued.chain(self.ring.waiting_numbers())
    }

    /// Bytes that wait.
    pub(super) fn waiting_bytes(&self) -> u64 {
        (self.waiting_size + self.ring.waiting() * size_of::<Packed>()) as u64
    }

    /// Puts records back, before all others.
    pub(super) fn put_back(&mut self, lane: Lane, records: Vec<Record>) {
        for record in records.into_iter().rev() {
            self.waiting_size += record.size();
            self.waiting[lane as usize].push_front(record);
        }
        self.shed();
    }

    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub(super) fn notice(&mut self, severity: Severity, text: String) {
        let notice = Notice { severity, text };
        if self.notices.len() < MAX_NOTICES && !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_is_urgent_does_not_wait_for_the_end_of_a_period() {
        let shared = Shared::new(Ring::new(1));
        for urgent in [true, false] {
            shared.lock().urgent = urgent;
            let began = Instant::now();
            shared.wait(true);
            assert_eq!(began.elapsed() < PERIOD / 2, urgent);
        }
    }
}
