//! The store's thread and the way to it.
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fragwatch_core::model::entry::Header;

use super::{Lane, MIN_SIZE, Notice, Options, Status};

/// Why a store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It would be too small.
    #[error("a store of {0} bytes is too small: give it at least {MIN_SIZE}")]
    TooSmall(u64),
}

/// The way to the store's thread.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Mutex<Shared>>,
    first_sequence: u64,
}

#[derive(Debug, Default)]
struct Shared {
    status: Status,
    notices: Vec<Notice>,
}

impl Handle {
    /// Opens a store, or creates it, and starts its thread, which calls `on_thread` first. `header` begins
    /// each segment.
    pub fn open(
        options: &Options,
        _header: &Header,
        _on_thread: impl FnOnce() + Send + 'static,
    ) -> Result<Self, OpenError> {
        if options.max_size < MIN_SIZE {
            return Err(OpenError::TooSmall(options.max_size));
        }
        let status = Status { max_bytes: options.max_size, ..Status::default() };
        let shared = Arc::new(Mutex::new(Shared { status, notices: Vec::new() }));
        Ok(Self { shared, first_sequence: 1 })
    }

    /// The number after the last that the store holds.
    pub fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// Hands an entry's JSON to the thread.
    pub fn push(&self, lane: Lane, sequence: u64, json: String) {
        log::trace!("{}: {sequence}: {json}", lane.name());
        drop(json);
    }

    /// How the store is.
    pub fn status(&self) -> Status {
        self.lock().status.clone()
    }

    /// What happened since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.lock().notices)
    }

    /// Writes what is left and ends the thread.
    ///
    /// # Errors
    /// If that takes longer than `timeout`, or not everything could be written.
    pub fn close(self, _timeout: Duration) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
