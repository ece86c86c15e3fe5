//! How a store is: for metrics, the journal and the page.
use jiff::Timestamp;

/// How a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes on disk, files rounded up to whole blocks.
    pub bytes: u64,
    /// Bytes that it may take.
    pub max_bytes: u64,
    /// The lanes, in the order of [`super::Lane::ALL`].
    pub lanes: [LaneStatus; 3],
    /// Failed attempts to write.
    pub errors: Errors,
    /// Bytes of entries that wait in memory for the disk.
    pub waiting_bytes: u64,
    /// Entries that were dropped because too many waited.
    pub dropped: u64,
    /// The last attempt to write failed.
    pub failing: bool,
}

/// How a lane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStatus {
    /// Bytes on disk.
    pub bytes: u64,
    /// Segments.
    pub segments: u64,
    /// When the oldest segment was begun; `None` without one.
    pub oldest: Option<Timestamp>,
}

/// Failed attempts to write, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// No space: ENOSPC, EDQUOT, or the file system's free space would fall below the limit.
    pub full: u64,
    /// EIO.
    pub io: u64,
    /// EROFS.
    pub read_only: u64,
    /// Any other.
    pub other: u64,
}

impl Status {
    /// When the oldest segment was begun; `None` if the store is empty.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.lanes.iter().filter_map(|lane| lane.oldest).min()
    }
}

/// How important a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Data may be missing.
    Warning,
    /// All is well again, or was mended.
    Info,
}

/// Something that happened to the store, which is said once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How important it is.
    pub severity: Severity,
    /// A sentence.
    pub text: String,
}
