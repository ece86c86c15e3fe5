//! Names of containers for reports: how long a report waits for them, and late replies.
use std::{
    collections::HashSet,
    future,
    path::Path,
    time::{Duration, Instant},
};

use fragwatch_core::{
    correlate::Correlated,
    model::identity::{Query, Reply},
};

use crate::{host::clock, lookup::Lookup};

/// A report waits for names until this long after the creation's end.
const DEADLINE_NS: u64 = 20_000_000;

/// Above this delay between a creation's end and its event the node is considered overloaded. Reports
/// do not wait for names then, because the lookup thread would compete for the CPU.
const OVERLOAD_NS: u64 = 5_000_000;

/// How long the end of a trace waits for outstanding replies.
const FINAL_WAIT: Duration = Duration::from_millis(50);

/// The lookup, or nothing if its thread could not be started.
pub(super) struct Names(Option<Lookup>);

impl Names {
    pub(super) fn start() -> Self {
        match Lookup::start(Path::new("/")) {
            Ok(lookup) => Self(Some(lookup)),
            Err(error) => {
                log::warn!(
                    "names of containers are not available: could not start a thread: {error}"
                );
                Self(None)
            }
        }
    }

    /// Whether one of these ended so long ago that its report should not wait for names.
    pub(super) fn is_overloaded(correlated: &[Correlated]) -> bool {
        let now_ns = clock::monotonic_ns();
        correlated
            .iter()
            .filter_map(Correlated::ended_ns)
            .any(|ended_ns| now_ns.saturating_sub(ended_ns) > OVERLOAD_NS)
    }

    /// Sends queries without waiting for replies.
    pub(super) fn send(&self, queries: &HashSet<Query>) {
        if let Some(lookup) = &self.0 {
            for query in queries {
                lookup.query(query.clone());
            }
        }
    }

    /// Waits for the first reply to each query, until a report about `correlated` is due. Replies to
    /// earlier queries that arrive meanwhile are among those returned.
    pub(super) fn wait_for(
        &self,
        queries: &HashSet<Query>,
        correlated: &[Correlated],
    ) -> Vec<Reply> {
        let Some(lookup) = &self.0 else { return Vec::new() };
        let ended_ns = correlated.iter().filter_map(Correlated::ended_ns).min().unwrap_or(0);
        let left_ns = (ended_ns + DEADLINE_NS).saturating_sub(clock::monotonic_ns());
        let deadline = Instant::now() + Duration::from_nanos(left_ns);
        let mut waiting: HashSet<&Query> = queries.iter().collect();
        let mut replies = Vec::new();
        while !waiting.is_empty()
            && let Some(reply) = lookup.wait_for_reply(deadline)
        {
            waiting.remove(&reply.query);
            replies.push(reply);
        }
        replies
    }

    /// Resolves when a reply may have arrived; never without a lookup.
    pub(super) async fn replied(&self) {
        match &self.0 {
            Some(lookup) => lookup.replied().await,
            None => future::pending().await,
        }
    }

    /// The next reply that has arrived.
    pub(super) fn try_reply(&self) -> Option<Reply> {
        self.0.as_ref()?.try_reply()
    }

    /// Outstanding replies at the end of a trace, as far as they arrive within a short time.
    pub(super) fn final_replies(&self) -> Vec<Reply> {
        let Some(lookup) = &self.0 else { return Vec::new() };
        let deadline = Instant::now() + FINAL_WAIT;
        std::iter::from_fn(|| lookup.wait_for_reply(deadline)).collect()
    }
}
