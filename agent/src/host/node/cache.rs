//! Limits how often the node's facts are read: at most once a second.
use fragwatch_core::model::node::{MAX_AGE_NS, NodeFacts};

use crate::host::node::{facts_source::ReadFacts, thread::ReadingThread};

/// Facts that were requested this long ago, in nanoseconds, and did not arrive are not waited for: what
/// reads them is stuck.
const STUCK_NS: u64 = 30_000_000;

/// Reads facts when they are needed, but not too often.
pub struct Cache<R> {
    pub(super) source: R,
    /// When facts were last requested (`CLOCK_MONOTONIC`).
    requested_ns: Option<u64>,
    /// When the last facts were read.
    read_ns: Option<u64>,
}

impl<R: ReadFacts> Cache<R> {
    /// A cache of `source`; nothing is read yet.
    pub fn new(source: R) -> Self {
        Self { source, requested_ns: None, read_ns: None }
    }

    /// Requests facts at `now_ns` (`CLOCK_MONOTONIC`) and returns whether they are worth waiting for. False
    /// if those of the last read are recent.
    pub fn request(&mut self, now_ns: u64) -> bool {
        if is_recent(self.read_ns, now_ns) {
            return false;
        }
        if is_recent(self.requested_ns, now_ns) {
            return self.requested_ns.is_some_and(|at| now_ns.saturating_sub(at) < STUCK_NS);
        }
        self.requested_ns = Some(now_ns);
        self.source.request();
        true
    }

    /// Facts that have arrived, if they are recent at `now_ns`.
    pub fn take(&mut self, now_ns: u64) -> Option<NodeFacts> {
        let facts = self.source.take().filter(|facts| is_recent(Some(facts.time_ns), now_ns))?;
        self.read_ns = Some(facts.time_ns);
        Some(facts)
    }
}

impl Cache<ReadingThread> {
    /// Resolves when facts may have arrived.
    pub async fn arrived(&self) {
        self.source.arrived().await;
    }
}

fn is_recent(at: Option<u64>, now_ns: u64) -> bool {
    at.is_some_and(|at| now_ns.saturating_sub(at) < MAX_AGE_NS)
}
