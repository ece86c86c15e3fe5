//! How often the node's facts are read: once a second at most, whatever happens.
use fragwatch_core::model::node::{MAX_AGE_NS, NodeFacts};

/// Somebody who reads facts. It must not take long.
pub trait Reads {
    /// Reads, as it is wanted now.
    fn read(&mut self) -> Option<NodeFacts>;
    /// What an earlier [`Reads::read`] came to, if it gave up waiting for it.
    fn late(&mut self) -> Option<NodeFacts>;
}

/// Facts that are read when there is trouble.
pub struct Cache<R> {
    pub(super) reads: R,
    /// When a reading began, and when the last facts were read.
    asked_ns: Option<u64>,
    read_ns: Option<u64>,
}

impl<R: Reads> Cache<R> {
    /// Nothing is read yet.
    pub fn new(reads: R) -> Self {
        Self { reads, asked_ns: None, read_ns: None }
    }

    /// There is trouble at `now_ns` (`CLOCK_MONOTONIC`): facts that were not known before, if any
    /// have to be read.
    pub fn refresh(&mut self, now_ns: u64) -> Option<NodeFacts> {
        let recent = |at: Option<u64>| at.is_some_and(|at| now_ns.saturating_sub(at) < MAX_AGE_NS);
        if recent(self.read_ns) {
            return None;
        }
        let mut facts = self.reads.late().filter(|facts| recent(Some(facts.time_ns)));
        if facts.is_none() && !recent(self.asked_ns) {
            self.asked_ns = Some(now_ns);
            facts = self.reads.read();
        }
        let facts = facts?;
        self.read_ns = Some(facts.time_ns);
        Some(facts)
    }
}
