//! What the store's thread does: it writes what waits, and tries again what failed.
use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    Errors, Lane, Severity, file_system::FileSystem, lane_writer::SyncError, queue::Shared,
    record::Record, segments::Segments,
};

/// What is no incident is on disk after this time.
const SYNC_PERIOD: Duration = Duration::from_secs(5);

/// A failure that comes and goes is said once in this time.
const QUIET: Duration = Duration::from_mins(1);

/// Writes until the store is closed.
///
/// # Errors
/// The last one, if something could not be written at the end.
pub(super) fn run<S: FileSystem>(
    segments: Segments<S>,
    shared: &Shared,
    path: &str,
) -> io::Result<()> {
    let mut worker = Worker::new(segments);
    let mut synced = Instant::now();
    loop {
        let mut state = shared.lock();
        let (closing, urgent) = (state.closing, std::mem::take(&mut state.urgent));
        drop(state);
        let all = closing || urgent || synced.elapsed() >= SYNC_PERIOD;
        let result = worker.step(shared, all);
        worker.publish(shared, path, &result);
        if all {
            synced = Instant::now();
        }
        if closing {
            return result;
        }
        match result {
            // Whatever else comes waits for the disk too.
            Err(_) => shared.wait_after_error(),
            Ok(()) => shared.wait(worker.is_unfinished()),
        }
    }
}

/// Writes records to segments.
pub(super) struct Worker<S: FileSystem> {
    segments: Segments<S>,
    errors: Errors,
    /// What the last attempt failed with; `None` if it did not.
    failing: Option<Failure>,
    /// What was said of it; `None` if nothing was, or that all is well again.
    said: Option<Failure>,
    /// When a failure was said last.
    said_at: Option<Instant>,
}

impl<S: FileSystem> Worker<S> {
    pub(super) fn new(segments: Segments<S>) -> Self {
        Self { segments, errors: Errors::default(), failing: None, said: None, said_at: None }
    }

    /// Writes what waits, and makes sure that incidents are on disk; if `all`, everything. A lane that
    /// can't be written does not keep the others from it.
    pub(super) fn step(&mut self, shared: &Shared, all: bool) -> io::Result<()> {
        if let Some(offset) = shared.lock().realtime_offset_ns.take() {
            self.segments.set_realtime_offset_ns(offset);
        }
        if self.failing.is_some() {
            // The directory may have been deleted. If this fails, so does what follows.
            let _ = self.segments.make_directories();
        }
        let mut result = Ok(());
        for lane in Lane::ALL {
            let written = self.write(shared, lane).and_then(|()| {
                let now = all || lane == Lane::Incidents;
                if now && self.segments.is_unsynced(lane) {
                    self.sync(shared, lane)
                } else {
                    Ok(())
                }
            });
            result = result.and(written);
        }
        result
    }

    fn write(&mut self, shared: &Shared, lane: Lane) -> io::Result<()> {
        loop {
            // Not within the loop's condition: the lock must not be held while a file is written.
            let next = shared.lock().pop(lane);
            let Some(record) = next else { return Ok(()) };
            if self.segments.wants_sync(lane) {
                let synced = self.sync(shared, lane);
                if synced.is_err() {
                    put_back(shared, lane, vec![record]);
                    return synced;
                }
            }
            if let Err((error, record)) = self.segments.append(record) {
                put_back(shared, lane, vec![record]);
                return Err(error);
            }
        }
    }

    fn sync(&mut self, shared: &Shared, lane: Lane) -> io::Result<()> {
        self.segments.sync(lane).map_err(|SyncError { error, records }| {
            put_back(shared, lane, records);
            error
        })
    }

    fn is_unfinished(&self) -> bool {
        Lane::ALL.iter().any(|lane| self.segments.is_unsynced(*lane))
    }

    fn is_news(&self, failure: Option<Failure>) -> bool {
        failure != self.said && self.said_at.is_none_or(|at| at.elapsed() >= QUIET)
    }

    /// Counts an error, and says what changed.
    pub(super) fn publish(&mut self, shared: &Shared, path: &str, result: &io::Result<()>) {
        let failure = result.as_ref().err().map(Failure::of);
        let mut state = shared.lock();
        match failure {
            Some(Failure::Full) => self.errors.full += 1,
            Some(Failure::Io) => self.errors.io += 1,
            Some(Failure::ReadOnly) => self.errors.read_only += 1,
            Some(Failure::Other) => self.errors.other += 1,
            None => {}
        }
        let dropped = state.dropped;
        match result {
            Err(error) if self.is_news(failure) => {
                self.said = failure;
                self.said_at = Some(Instant::now());
                state.notice(
                    Severity::Warning,
                    format!(
                        "could not write to the store {path}: {error}; what is to be stored waits in \
                         memory, and writing is tried again every second"
                    ),
                );
            }
            Ok(()) if self.said.take().is_some() => state.notice(
                Severity::Info,
                format!("the store {path} is written again; dropped so far: {dropped} entries"),
            ),
            _ => {}
        }
        self.failing = failure;
        state.status = self.segments.status();
        state.status.errors = self.errors;
        state.status.failing = failure.is_some();
    }
}

fn put_back(shared: &Shared, lane: Lane, records: Vec<Record>) {
    shared.lock().put_back(lane, records);
}

/// Why writing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Full,
    Io,
    ReadOnly,
    Other,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ if error.raw_os_error() == Some(libc::EIO) => Self::Io,
            _ => Self::Other,
        }
    }
}
