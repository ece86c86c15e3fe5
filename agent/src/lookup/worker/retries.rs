//! Queries whose records the runtime has yet to write.
use std::{collections::VecDeque, future, time::Duration};

use fragwatch_core::model::identity::Query;
use tokio::time::{Instant, sleep_until};

/// Queries that wait at a time; a new one displaces the oldest.
const MAX_WAITING: usize = 64;
/// Delays between attempts to find the owner of a network namespace.
const NETNS_DELAYS: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// Delay of the only retry for all other queries: a runtime writes its log and its records of a
/// container within this time.
const DELAY: Duration = Duration::from_secs(1);
/// Retries are due at multiples of this, so that one scan serves several queries.
const TICK: Duration = Duration::from_millis(250);

/// A query to be looked up again.
pub(super) struct Retry {
    pub(super) query: Query,
    /// Retries including this one.
    pub(super) tries: usize,
    at: Instant,
}

/// Whether a query without result is looked up again after so many retries.
pub(super) fn may_retry(query: &Query, tries: usize) -> bool {
    matches!(query, Query::Netns { .. }) && tries < NETNS_DELAYS.len()
}

pub(super) struct Retries {
    started: Instant,
    waiting: VecDeque<Retry>,
}

impl Retries {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), waiting: VecDeque::new() }
    }

    /// Schedules a query that was retried `tries` times. Returns the query that it displaces.
    pub(super) fn push(&mut self, query: &Query, tries: usize) -> Option<Query> {
        let displaced = if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front().map(|oldest| oldest.query)
        } else {
            None
        };
        let delay = match query {
            Query::Netns { .. } => NETNS_DELAYS[tries.min(NETNS_DELAYS.len() - 1)],
            _ => DELAY,
        };
        let ticks = (self.started.elapsed() + delay).as_millis().div_ceil(TICK.as_millis());
        let at = self.started + TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
        self.waiting.push_back(Retry { query: query.clone(), tries: tries + 1, at });
        displaced
    }

    pub(super) fn contains(&self, query: &Query) -> bool {
        self.waiting.iter().any(|retry| retry.query == *query)
    }

    /// Resolves when a retry is due; never if none is scheduled.
    pub(super) async fn due(&self) {
        match self.waiting.iter().map(|retry| retry.at).min() {
            Some(next) => sleep_until(next).await,
            None => future::pending().await,
        }
    }

    /// Removes the retries that are due.
    pub(super) fn take_due(&mut self) -> Vec<Retry> {
        let now = Instant::now();
        let (due, later): (Vec<Retry>, Vec<Retry>) =
            self.waiting.drain(..).partition(|retry| retry.at <= now);
        self.waiting = later.into();
        due
    }
}
