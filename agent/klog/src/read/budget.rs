//! How far compressed data may expand.
use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::read::source::Source;

/// Bytes that may come out of any number of bytes.
const GRACE: u64 = 1 << 30;
/// Bytes that may come out of each byte that was read. Logs are rarely compressed to less than a
/// hundredth.
const RATIO: u64 = 250;

/// Of all that is read of one directory or archive: bytes that were read, and bytes that came out.
#[derive(Debug)]
pub(crate) struct Budget {
    read: AtomicU64,
    unpacked: AtomicU64,
    /// What may come out before anything is read.
    grace: u64,
}

impl Budget {
    /// That of a directory or an archive.
    pub(crate) fn limited() -> Arc<Self> {
        Self::new(GRACE)
    }

    /// For a single log: it may expand to any size, as one that is piped in.
    pub(crate) fn unlimited() -> Arc<Self> {
        Self::new(u64::MAX)
    }

    pub(crate) fn new(grace: u64) -> Arc<Self> {
        Arc::new(Self { read: AtomicU64::new(0), unpacked: AtomicU64::new(0), grace })
    }

    /// Whether more came out than may.
    pub(crate) fn is_exhausted(&self) -> bool {
        let read = self.read.load(Ordering::Relaxed);
        self.unpacked.load(Ordering::Relaxed)
            > self.grace.saturating_add(read.saturating_mul(RATIO))
    }

    /// Counts what is read of a file.
    pub(crate) fn count_read(self: &Arc<Self>, source: Source) -> Source {
        Box::new(Counted { source, budget: Arc::clone(self) })
    }

    /// Counts what comes out, and fails when that is too much.
    pub(crate) fn limit<R: Read>(self: &Arc<Self>, source: R) -> Limited<R> {
        Limited { source, budget: Arc::clone(self) }
    }
}

struct Counted {
    source: Source,
    budget: Arc<Budget>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.budget.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// What comes out of compressed data.
pub(crate) struct Limited<R> {
    source: R,
    budget: Arc<Budget>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.is_exhausted() {
            return Err(io::Error::other("it unpacks to far more than its size"));
        }
        let n = self.source.read(buffer)?;
        self.budget.unpacked.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
