//! Names from lookups: replies, and creations that were reported before all of theirs arrived.
use std::{
    collections::{HashSet, VecDeque},
    num::NonZeroUsize,
};

use lru::LruCache;

use crate::{
    attribution::candidates::{self, MAX_CANDIDATES},
    model::{
        container::{Candidate, CandidateReason, Container},
        event::Task,
        identity::{Identity, NamedBy, Query, Reply},
        step::CreationStep,
    },
};

/// Replies that are kept; the oldest is dropped first.
const MAX_REPLIES: NonZeroUsize = NonZeroUsize::new(512).expect("it is above 0");
/// Identities that are kept of one query; there are fewer sources.
const MAX_IDENTITIES: usize = 8;
/// Creations that wait for replies; the oldest is dropped first and keeps what was reported.
const MAX_WAITING: usize = 256;

/// The container of a creation, which may become known only after its report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateAttribution {
    /// The id of the creation step.
    pub creation: u64,
    /// The end of the step, `CLOCK_MONOTONIC` in nanoseconds.
    pub ended_ns: u64,
    /// The thread that made the step.
    pub task: Task,
    /// The container, if it is certain.
    pub container: Option<Container>,
    /// Containers that it may be for otherwise, the most likely first.
    pub candidates: Vec<Candidate>,
}

/// Replies, and the creations that wait for more.
pub(crate) struct Attributions {
    replies: LruCache<Query, Reply>,
    waiting: VecDeque<Waiting>,
}

impl Default for Attributions {
    fn default() -> Self {
        Self { replies: LruCache::new(MAX_REPLIES), waiting: VecDeque::new() }
    }
}

struct Waiting {
    /// As it was last reported.
    attribution: LateAttribution,
    /// The query about the creation itself, not about a container.
    creation_query: Option<Query>,
}

impl Attributions {
    /// Queries about a creation that have no result yet. `realtime_offset_ns` is `CLOCK_REALTIME` minus
    /// `CLOCK_MONOTONIC`.
    pub(crate) fn queries(&self, creation: &CreationStep, realtime_offset_ns: i64) -> Vec<Query> {
        let creation_query = candidates::query(creation, realtime_offset_ns);
        let mut queries = queries(&creation.attribution(), creation_query.as_ref());
        // Failed lookups are retried.
        let has_result = |reply: &Reply| !reply.identities.is_empty();
        queries.retain(|query| !self.replies.peek(query).is_some_and(has_result));
        queries
    }

    /// Stores a reply. Returns the attributions that it changes, for which a report was made already.
    pub(crate) fn reply(&mut self, mut reply: Reply) -> Vec<LateAttribution> {
        let query = reply.query.clone();
        // A later reply about what a runtime was starting replaces the earlier one, because the runtime's
        // log is more complete then. All other replies add to earlier ones.
        if let Some(before) = self.replies.peek(&query)
            && (reply.identities.is_empty() || !matches!(query, Query::Starting { .. }))
        {
            let more: Vec<Identity> = before
                .identities
                .iter()
                .filter(|identity| !reply.identities.contains(identity))
                .cloned()
                .collect();
            reply.identities.extend(more);
            reply.identities.truncate(MAX_IDENTITIES);
        }
        self.replies.put(query.clone(), reply);
        let mut changed = Vec::new();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|one| {
            if !queries(&one.attribution, one.creation_query.as_ref()).contains(&query) {
                return true;
            }
            let before = one.attribution.clone();
            self.fill(&mut one.attribution, one.creation_query.as_ref());
            if one.attribution != before {
                changed.push(one.attribution.clone());
            }
            self.is_open(one)
        });
        self.waiting = waiting;
        changed
    }

    /// The query for a container's missing names, if it has no result yet.
    pub(crate) fn query(&self, container: &Container) -> Option<Query> {
        let has_result = |query: &Query| {
            self.replies.peek(query).is_some_and(|reply| !reply.identities.is_empty())
        };
        container.query().filter(|query| !has_result(query))
    }

    /// Adds the known names to a container.
    pub(crate) fn learn(&self, container: &mut Container) {
        let reply = container.query().and_then(|query| self.replies.peek(&query));
        for known in reply.iter().flat_map(|reply| &reply.identities) {
            container.learn(known);
        }
    }

    /// Adds the known names to a creation that is about to be reported, and remembers it for later replies.
    pub(crate) fn name(&mut self, creation: &mut CreationStep, realtime_offset_ns: i64) {
        let creation_query = candidates::query(creation, realtime_offset_ns);
        if let Some(inode) = creation.namespaces().and_then(|made| made.netns) {
            // The kernel reused the inode number, so records of it belong to the new namespace.
            let is_reused = |query: &Query| matches!(query, Query::Netns { inode: other, .. } if *other == inode);
            self.waiting.retain(|one| !one.creation_query.as_ref().is_some_and(is_reused));
        }
        let mut attribution = creation.attribution();
        self.fill(&mut attribution, creation_query.as_ref());
        creation.container.clone_from(&attribution.container);
        creation.candidates.clone_from(&attribution.candidates);
        let waiting = Waiting { attribution, creation_query };
        if self.is_open(&waiting) {
            if self.waiting.len() == MAX_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(waiting);
        }
    }

    /// Whether a later reply may still change it.
    fn is_open(&self, waiting: &Waiting) -> bool {
        queries(&waiting.attribution, waiting.creation_query.as_ref())
            .iter()
            .any(|query| self.replies.peek(query).is_none_or(|reply| !reply.last))
    }

    /// Adds what replies say to an attribution.
    fn fill(&self, attribution: &mut LateAttribution, creation_query: Option<&Query>) {
        let known =
            |query: &Query| self.replies.peek(query).map_or(&[][..], |reply| &reply.identities);
        match creation_query {
            // The runtime's own record of the namespace is certain.
            Some(query @ Query::Netns { .. }) if attribution.container.is_none() => {
                if let Some(first) = known(query).first() {
                    let mut container = Container::default();
                    container.learn(first);
                    attribution.container = Some(container);
                    attribution.candidates.clear();
                }
            }
            Some(query @ Query::Starting { .. }) => {
                // In reverse, because each is inserted at the front.
                known(query)
                    .iter()
                    .rev()
                    .for_each(|known| add_candidate(&mut attribution.candidates, known));
            }
            _ => {}
        }
        let containers = attribution.container.iter_mut();
        for container in
            containers.chain(attribution.candidates.iter_mut().map(|c| &mut c.container))
        {
            self.learn(container);
        }
    }
}

/// Inserts a candidate from a runtime's records at the front, merged with an equal one that is there.
fn add_candidate(candidates: &mut Vec<Candidate>, known: &Identity) {
    let mut container = Container::default();
    container.learn(known);
    let by_log = known.by == NamedBy::RuntimeLog;
    let mut added = Candidate {
        container,
        why: if by_log { CandidateReason::RuntimeLog } else { CandidateReason::RuntimeState },
    };
    let known_already =
        candidates.iter().position(|c| candidates::same(&c.container, &added.container));
    if let Some(at) = known_already {
        let mut candidate = candidates.remove(at);
        candidate.container.learn(known);
        let of_pods =
            matches!(candidate.why, CandidateReason::NewestPod | CandidateReason::FreePod);
        if by_log && of_pods {
            candidate.why = CandidateReason::PodInRuntimeLog;
        }
        added = candidate;
    }
    candidates.insert(0, added);
    candidates.truncate(MAX_CANDIDATES);
}

/// All queries that may add names to an attribution.
fn queries(attribution: &LateAttribution, creation_query: Option<&Query>) -> Vec<Query> {
    let containers =
        attribution.container.iter().chain(attribution.candidates.iter().map(|c| &c.container));
    let mut seen = HashSet::new();
    let creation_query = creation_query.filter(|_| attribution.container.is_none()).cloned();
    creation_query
        .into_iter()
        .chain(containers.filter_map(Container::query))
        .filter(|query| seen.insert(query.clone()))
        .collect()
}

impl CreationStep {
    /// Its attribution without lookups.
    fn attribution(&self) -> LateAttribution {
        LateAttribution {
            creation: self.id,
            ended_ns: self.ended_ns,
            task: self.task.clone(),
            container: self.container.clone(),
            candidates: self.candidates.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
