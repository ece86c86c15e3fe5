//! The first line of a segment: the header of a capture, and which run and lane it belongs to.
use fragwatch_core::{model::entry, report::escape};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Lane, line};

/// A segment's header.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SegmentHeader {
    #[serde(flatten)]
    pub(crate) capture: entry::Header,
    /// The number of the first entry of this run of `serve`, which all segments of the run have.
    pub(crate) session: u64,
    pub(crate) lane: String,
    /// When the segment was begun.
    pub(crate) begun: Timestamp,
}

/// What the headers of one run are made of.
#[derive(Clone, Debug)]
pub(super) struct HeaderSource {
    pub(super) capture: entry::Header,
    pub(super) session: u64,
}

impl HeaderSource {
    /// The first line of a segment of `lane`.
    pub(super) fn line(&self, lane: Lane, begun: Timestamp) -> serde_json::Result<Vec<u8>> {
        let header = SegmentHeader {
            capture: self.capture.clone(),
            session: self.session,
            lane: lane.name().to_owned(),
            begun,
        };
        let mut bytes = Vec::new();
        line::append(&mut bytes, &escape(&serde_json::to_string(&header)?), self.session);
        Ok(bytes)
    }
}
