//! The store's thread and the way to it.
use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use fragwatch_core::model::entry::Header;

use super::{
    Lane, MIN_SIZE, Notice, OpenError, Options, Severity, Status,
    directory::{self, Lock},
    disk::Disk,
    record::Record,
    segments::{MAX_RECORD, Segments},
    worker,
};

/// Bytes of records that wait for the disk. Of more, the oldest are dropped.
const MAX_WAITING: usize = 1 << 20;

/// Notices that are held until they are taken.
const MAX_NOTICES: usize = 16;

/// Entries of creations are written in batches of this time, and what failed is tried again after it.
const PERIOD: Duration = Duration::from_secs(1);

/// While nothing waits, the thread wakes once in this time.
const IDLE: Duration = Duration::from_mins(1);

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 256 << 10;

/// The way to the store's thread.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    first_sequence: u64,
    done: Receiver<io::Result<()>>,
}

/// What the thread shares with its users.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Signalled when the thread should look at the state at once.
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Records that wait, per lane.
    pub(super) waiting: [VecDeque<Record>; 3],
    pub(super) waiting_size: usize,
    pub(super) dropped: u64,
    pub(super) realtime_offset_ns: Option<i64>,
    pub(super) closing: bool,
    /// The thread waits for any record, not for the end of a period.
    idle: bool,
    pub(super) status: Status,
    notices: Vec<Notice>,
}

impl Handle {
    /// Opens a store, or creates it, and starts its thread, which calls `on_thread` first. `header` begins
    /// each segment.
    pub fn open(
        options: &Options,
        header: &Header,
        on_thread: impl FnOnce() + Send + 'static,
    ) -> Result<Self, OpenError> {
        if options.max_size < MIN_SIZE {
            return Err(OpenError::TooSmall(options.max_size));
        }
        let lock = directory::prepare(&options.directory)?;
        Self::start(options, header, lock, on_thread).map_err(|error| OpenError::Refused {
            path: options.directory.display().to_string(),
            error,
        })
    }

    fn start(
        options: &Options,
        header: &Header,
        lock: Lock,
        on_thread: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (segments, mended) = Segments::open(Disk::new(&options.directory), options, header)?;
        let shared = Arc::new(Shared::default());
        let path = name(&options.directory);
        let mut state = shared.lock();
        state.status = segments.status();
        for text in mended {
            state.notice(Severity::Info, format!("store {path}: {text}"));
        }
        drop(state);
        let first_sequence = segments.first_sequence();
        let (end, done) = mpsc::channel();
        let its_own = Arc::clone(&shared);
        let work = move || {
            on_thread();
            let result = worker::run(segments, &its_own, &path);
            drop(lock);
            // No receiver: the end is not waited for any more.
            let _ = end.send(result);
        };
        thread::Builder::new().name("store".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(Self { shared, first_sequence, done })
    }

    /// The number after the last that the store holds.
    pub fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// Hands a record to the thread.
    pub(crate) fn push(&self, record: Record) {
        let mut state = self.shared.lock();
        let urgent = state.idle || record.lane != Lane::Creations;
        state.put(record);
        drop(state);
        if urgent {
            self.shared.changed.notify_one();
        }
    }

    /// The time of day was set: later segments begin with this offset.
    pub(crate) fn set_realtime_offset_ns(&self, realtime_offset_ns: i64) {
        self.shared.lock().realtime_offset_ns = Some(realtime_offset_ns);
    }

    /// How the store is.
    pub fn status(&self) -> Status {
        let state = self.shared.lock();
        let mut status = state.status.clone();
        status.waiting_bytes = state.waiting_size as u64;
        status.dropped = state.dropped;
        status
    }

    /// What happened since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.shared.lock().take_notices()
    }

    /// Writes what is left and ends the thread.
    ///
    /// # Errors
    /// If that takes longer than `timeout`, or not everything could be written.
    pub fn close(self, timeout: Duration) -> io::Result<()> {
        self.shared.lock().closing = true;
        self.shared.changed.notify_one();
        self.done.recv_timeout(timeout).unwrap_or_else(|error| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("the store's thread: {error}")))
        })
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do; if nothing is `unfinished`, for long.
    pub(super) fn wait(&self, unfinished: bool) {
        let mut state = self.lock();
        let [incidents, creations, samples] = &state.waiting;
        if state.closing || !incidents.is_empty() || !samples.is_empty() {
            return;
        }
        state.idle = !unfinished && creations.is_empty();
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
        let record = self.waiting[lane as usize].pop_front()?;
        self.waiting_size -= record.size();
        Some(record)
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

fn name(directory: &Path) -> String {
    directory.display().to_string()
}
