//! A line as it stands in a log.

/// Bytes kept of a line. rsyslog and journald keep less of a message.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// A line as it stands in the log, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawLine {
    /// Counts from 1.
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}
