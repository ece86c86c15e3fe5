//! Names of containers for reports, which the lookup's thread is asked for.
use std::{
    collections::HashSet,
    future,
    path::Path,
    time::{Duration, Instant},
};

use fragwatch_core::model::identity::{Query, Reply};

use crate::lookup::Lookup;

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

    /// Sends queries without waiting for replies.
    pub(super) fn send(&self, queries: &HashSet<Query>) {
        if let Some(lookup) = &self.0 {
            for query in queries {
                lookup.query(query.clone());
            }
        }
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
