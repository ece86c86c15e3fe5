//! What was looked up about containers, and the creations that still wait for a reply.
use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    attribution::candidates::{self, MAX_CANDIDATES},
    model::{
        container::{Candidate, CandidateReason, Container},
        event::Task,
        identity::{Identity, NamedBy, Query, Reply},
        step::CreationStep,
    },
};

/// Replies kept at a time; the oldest goes first.
const MAX_REPLIES: usize = 512;
/// Identities kept of one query: there are not more sources.
const MAX_IDENTITIES: usize = 8;
/// Creations that wait for a reply at a time; the oldest goes first, and stays as it was reported.
const MAX_WAITING: usize = 256;

/// The container of a creation, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateAttribution {
    /// The creation.
    pub creation: u64,
    /// When it ended, `CLOCK_MONOTONIC` in nanoseconds.
    pub ended_ns: u64,
    /// Who did it.
    pub task: Task,
    /// See [`Creation::container`].
    pub container: Option<Container>,
    /// See [`Creation::candidates`].
    pub candidates: Vec<Candidate>,
}

/// Replies, and the creations that wait for more.
#[derive(Default)]
pub(crate) struct Attributions {
    replies: HashMap<Query, Reply>,
    order: VecDeque<Query>,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    /// As it was reported last.
    attribution: LateAttribution,
    /// What is asked about it as a whole.
    about: Option<Query>,
}

impl Attributions {
    /// What is to be asked about a creation that is not answered yet; `realtime_offset_ns` is how far the time of
    /// day is ahead of `CLOCK_MONOTONIC`.
    pub(crate) fn queries(&self, creation: &CreationStep, realtime_offset_ns: i64) -> Vec<Query> {
        let about = candidates::query(creation, realtime_offset_ns);
        let mut asked = queries(&creation.attribution(), about.as_ref());
        // Retry failed lookups.
        let known = |reply: &Reply| !reply.identities.is_empty();
        asked.retain(|query| !self.replies.get(query).is_some_and(known));
        asked
    }

    /// Keeps a reply. Returns the attributions that it adds to.
    pub(crate) fn reply(&mut self, mut reply: Reply) -> Vec<LateAttribution> {
        let query = reply.query.clone();
        // Later replies replace earlier ones on what a runtime was starting; all others add to them.
        if let Some(before) = self.replies.get(&query)
            && (reply.identities.is_empty() || !matches!(query, Query::Starting { .. }))
        {
            let more: Vec<Identity> = before
                .identities
                .iter()
                .filter(|known| !reply.identities.contains(known))
                .cloned()
                .collect();
            reply.identities.extend(more);
            reply.identities.truncate(MAX_IDENTITIES);
        }
        if self.replies.insert(query.clone(), reply).is_none() {
            self.order.push_back(query.clone());
        }
        if self.order.len() > MAX_REPLIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.replies.remove(&oldest);
        }
        let mut completed = Vec::new();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|one| {
            if !queries(&one.attribution, one.about.as_ref()).contains(&query) {
                return true;
            }
            let before = one.attribution.clone();
            self.fill(&mut one.attribution, one.about.as_ref());
            if one.attribution != before {
                completed.push(one.attribution.clone());
            }
            self.is_open(one)
        });
        self.waiting = waiting;
        completed
    }

    /// Adds to a creation what is known of its container, and waits for what is not.
    pub(crate) fn name(&mut self, creation: &mut CreationStep, realtime_offset_ns: i64) {
        let about = candidates::query(creation, realtime_offset_ns);
        if let Some(inode) = creation.namespaces().and_then(|made| made.netns) {
            // It was given back, and the kernel gave it to another: what is recorded of it now is of
            // that one.
            let of_it = |about: &Query| matches!(about, Query::Netns { inode: other, .. } if *other == inode);
            self.waiting.retain(|one| !one.about.as_ref().is_some_and(of_it));
        }
        let mut attribution = creation.attribution();
        self.fill(&mut attribution, about.as_ref());
        (creation.container, creation.candidates) =
            (attribution.container.clone(), attribution.candidates.clone());
        let waiting = Waiting { attribution, about };
        if self.is_open(&waiting) {
            if self.waiting.len() == MAX_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(waiting);
        }
    }

    /// Whether anything may still be learnt about it.
    fn is_open(&self, waiting: &Waiting) -> bool {
        queries(&waiting.attribution, waiting.about.as_ref())
            .iter()
            .any(|query| self.replies.get(query).is_none_or(|reply| !reply.last))
    }

    fn fill(&self, attribution: &mut LateAttribution, about: Option<&Query>) {
        let known =
            |query: &Query| self.replies.get(query).map_or(&[][..], |reply| &reply.identities);
        match about {
            // The runtime's own record of the namespace: no guess.
            Some(query @ Query::Netns { .. }) if attribution.container.is_none() => {
                if let Some(first) = known(query).first() {
                    let mut container = Container::default();
                    container.learn(first);
                    attribution.container = Some(container);
                    attribution.candidates.clear();
                }
            }
            Some(query @ Query::Starting { .. }) => {
                // The surest comes last, and so to stand first.
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
            if let Some(query) = container.query() {
                for known in known(&query) {
                    container.learn(known);
                }
            }
        }
    }
}

/// Puts first what a runtime's records say that it was starting. To a candidate that there is already
/// they add what they know.
fn add_candidate(candidates: &mut Vec<Candidate>, known: &Identity) {
    let mut container = Container::default();
    container.learn(known);
    let by_log = known.by == NamedBy::RuntimeLog;
    let reason = if by_log { CandidateReason::RuntimeLog } else { CandidateReason::RuntimeState };
    let mut added = Candidate { container, why: reason };
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

/// All that can be looked up for an attribution.
fn queries(attribution: &LateAttribution, about: Option<&Query>) -> Vec<Query> {
    let containers =
        attribution.container.iter().chain(attribution.candidates.iter().map(|c| &c.container));
    let mut seen = HashSet::new();
    let about = about.filter(|_| attribution.container.is_none()).cloned();
    about
        .into_iter()
        .chain(containers.filter_map(Container::query))
        .filter(|query| seen.insert(query.clone()))
        .collect()
}

impl CreationStep {
    /// What is known of its container.
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
