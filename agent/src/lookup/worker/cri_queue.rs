//! Calls to the runtime's API: waiting and running, limited in number, paused after a failure.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::PathBuf,
    time::Duration,
};

use fragwatch_core::model::identity::{Identity, Query};
use tokio::{task::JoinSet, time::Instant};

use crate::lookup::cri::{self, CriLookupError};

/// Calls that run at a time.
const MAX_RUNNING: usize = 4;
/// Queries that wait for a call.
const MAX_WAITING: usize = 64;
/// No call is made for this long after one failed.
const PAUSE: Duration = Duration::from_secs(10);
/// A query that the API could not answer is not sent again for this long.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// Queries remembered for that.
const MAX_UNKNOWN: usize = 1024;

/// The result of a call.
pub(super) struct CriResult {
    pub(super) query: Query,
    /// What files knew when the query arrived.
    pub(super) identities: Vec<Identity>,
    pub(super) response: Result<Vec<Identity>, CriLookupError>,
}

pub(super) struct CriQueue {
    root: PathBuf,
    /// Queries, and what files knew of them.
    waiting: VecDeque<(Query, Vec<Identity>)>,
    running: JoinSet<CriResult>,
    /// Queries that are waiting or running.
    pending: HashSet<Query>,
    /// Queries that the API could not answer, and when.
    unknown: HashMap<Query, Instant>,
    paused_until: Option<Instant>,
}

impl CriQueue {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            pending: HashSet::new(),
            unknown: HashMap::new(),
            paused_until: None,
        }
    }

    /// Adds a query, unless a call for it would be useless or too many are waiting.
    pub(super) fn push(&mut self, query: &Query, identities: &[Identity]) {
        let is_supported = matches!(query, Query::Container { .. } | Query::Pod { .. });
        let was_unknown =
            self.unknown.get(query).is_some_and(|since| since.elapsed() < UNKNOWN_FOR);
        if is_supported
            && !self.is_paused()
            && !self.contains(query)
            && self.waiting.len() < MAX_WAITING
            && !was_unknown
            && !cri::sockets(&self.root).is_empty()
        {
            self.waiting.push_back((query.clone(), identities.to_vec()));
            self.pending.insert(query.clone());
        }
    }

    /// Whether a call for this query is waiting or running.
    pub(super) fn contains(&self, query: &Query) -> bool {
        self.pending.contains(query)
    }

    /// Starts waiting calls while there is room. Returns the queries that are given up because calls
    /// are paused.
    pub(super) fn start_calls(&mut self) -> Vec<(Query, Vec<Identity>)> {
        if self.is_paused() {
            let given_up: Vec<_> = self.waiting.drain(..).collect();
            for (query, _) in &given_up {
                self.pending.remove(query);
            }
            return given_up;
        }
        while self.running.len() < MAX_RUNNING
            && let Some((query, identities)) = self.waiting.pop_front()
        {
            let sockets = cri::sockets(&self.root);
            self.running.spawn(async move {
                let response = cri::query(sockets, &query).await;
                CriResult { query, identities, response }
            });
        }
        Vec::new()
    }

    /// The next result; `None` if no call is running.
    pub(super) async fn next_result(&mut self) -> Option<CriResult> {
        // A task that panicked or was cancelled has no result; its query gets no last reply.
        let result = self.running.join_next().await?.ok()?;
        self.pending.remove(&result.query);
        match &result.response {
            Ok(found) if found.is_empty() => {
                if self.unknown.len() >= MAX_UNKNOWN {
                    self.unknown.clear();
                }
                self.unknown.insert(result.query.clone(), Instant::now());
            }
            Ok(_) => {}
            Err(_) => self.paused_until = Some(Instant::now() + PAUSE),
        }
        Some(result)
    }

    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }
}
