//! Limits how often the node's facts are read: at most once a second.
use fragwatch_core::model::node::{MAX_AGE_NS, NodeFacts};

/// A source of facts.
pub trait ReadFacts {
    /// Requests facts and waits for them a short time; `None` if they are not available by then.
    fn read(&mut self) -> Option<NodeFacts>;
    /// The result of an earlier [`ReadFacts::read`] that returned `None`, if it is available now.
    fn late(&mut self) -> Option<NodeFacts>;
}

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

    /// New facts at `now_ns` (`CLOCK_MONOTONIC`); `None` while those of the last call are recent, or if
    /// they can't be read in time.
    pub fn refresh(&mut self, now_ns: u64) -> Option<NodeFacts> {
        let recent = |at: Option<u64>| at.is_some_and(|at| now_ns.saturating_sub(at) < MAX_AGE_NS);
        if recent(self.read_ns) {
            return None;
        }
        let mut facts = self.source.late().filter(|facts| recent(Some(facts.time_ns)));
        if facts.is_none() && !recent(self.requested_ns) {
            self.requested_ns = Some(now_ns);
            facts = self.source.read();
        }
        let facts = facts?;
        self.read_ns = Some(facts.time_ns);
        Some(facts)
    }
}
