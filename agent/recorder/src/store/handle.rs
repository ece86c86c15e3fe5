//! The store's thread and the way to it.
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use fragwatch_core::model::entry::Header;

use super::{
    Lane, Notice, OpenError, Options, Severity, Status, claim::Claim, directory::Lock, disk::Disk,
    queue::Shared, record::Record, segments::Segments, worker,
};

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 256 << 10;

/// The way to the store's thread.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    first_sequence: u64,
    done: Receiver<io::Result<()>>,
}

impl Handle {
    /// Opens a store, or creates it, and starts its thread, which calls `on_thread` first. `header` begins
    /// each segment. The thread takes what waits in `shared`.
    pub(crate) fn open(
        claim: Claim,
        header: &Header,
        shared: Arc<Shared>,
        on_thread: impl FnOnce() + Send + 'static,
    ) -> Result<Self, OpenError> {
        let Claim { options, lock } = claim;
        Self::start(&options, header, lock, shared, on_thread).map_err(|error| OpenError::Refused {
            path: options.directory.display().to_string(),
            error,
        })
    }

    fn start(
        options: &Options,
        header: &Header,
        lock: Lock,
        shared: Arc<Shared>,
        on_thread: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (segments, mended) = Segments::open(Disk::new(&options.directory), options, header)?;
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
            self.shared.wake();
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
        status.waiting_bytes = state.waiting_bytes();
        status.dropped = state.dropped;
        status
    }

    /// What happened since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.shared.lock().take_notices()
    }

    /// Has the thread write what waits, and sync it, at once.
    pub(crate) fn hurry(&self) {
        self.shared.lock().urgent = true;
        self.shared.wake();
    }

    /// Writes what is left and ends the thread.
    ///
    /// # Errors
    /// If that takes longer than `timeout`, or not everything could be written.
    pub fn close(self, timeout: Duration) -> io::Result<()> {
        self.shared.lock().closing = true;
        self.shared.wake();
        self.done.recv_timeout(timeout).unwrap_or_else(|error| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("the store's thread: {error}")))
        })
    }
}

fn name(directory: &Path) -> String {
    directory.display().to_string()
}
