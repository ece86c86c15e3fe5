//! The time that is reported.
use jiff::Timestamp;

use crate::cli::WindowArgs;

/// From when until when, both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

impl Window {
    pub(crate) fn has(self, at: Timestamp) -> bool {
        (self.since..=self.until).contains(&at)
    }

    /// Whether something of that time is in it.
    pub(crate) fn overlaps(self, from: Timestamp, until: Timestamp) -> bool {
        from <= self.until && until >= self.since
    }
}

impl From<WindowArgs> for Window {
    fn from(args: WindowArgs) -> Self {
        Self {
            since: args.since.unwrap_or(Timestamp::MIN),
            until: args.until.unwrap_or(Timestamp::MAX),
        }
    }
}
