//! What was asked about containers and answered, and the creations that still wait for an reply.
use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    attribution::candidates::{self, MAX_CANDIDATES},
    model::{
        container::{Candidate, Container},
        event::Task,
        identity::{Identity, NamedBy, Query, Reply},
        step::CreationStep,
    },
};

/// Answers kept at a time; the oldest goes first.
const MAX_ANSWERS: usize = 512;
/// Kept of one query: there are not so many to tell it.
const MAX_KNOWN: usize = 8;
/// Creations that wait for an reply at a time; the oldest goes first, and stays as it was told.
const MAX_WAITING: usize = 256;

/// Why a container is a candidate of which only a runtime's records tell.
const BY_LOG: &str = "a runtime's log says that its start was under way";
const BY_STATE: &str = "it was made just before";
const BY_BOTH: &str =
    "it has no container yet, and a runtime's log says that its start was under way";

/// A creation's owner, as far as it is known.
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

/// Answers, and who waits for more.
#[derive(Default)]
pub(crate) struct Attributions {
    replies: HashMap<Query, Reply>,
    order: VecDeque<Query>,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    /// As it was told last.
    owner: LateAttribution,
    /// What is asked about it as a whole.
    about: Option<Query>,
}

impl Attributions {
    /// What is to be asked about a creation that is not answered yet; `realtime_offset_ns` is how far the time of
    /// day is ahead of `CLOCK_MONOTONIC`.
    pub(crate) fn queries(&self, creation: &CreationStep, realtime_offset_ns: i64) -> Vec<Query> {
        let about = candidates::query(creation, realtime_offset_ns);
        let mut asked = queries(&creation.owner(), about.as_ref());
        // What nobody knew somebody may know now.
        let known = |reply: &Reply| !reply.identities.is_empty();
        asked.retain(|query| !self.replies.get(query).is_some_and(known));
        asked
    }

    /// Keeps an reply. Those that it tells more about than was told before are returned.
    pub(crate) fn reply(&mut self, mut reply: Reply) -> Vec<LateAttribution> {
        let query = reply.query.clone();
        // Whom a runtime was starting it knows better later; all else adds to what was told before.
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
            reply.identities.truncate(MAX_KNOWN);
        }
        if self.replies.insert(query.clone(), reply).is_none() {
            self.order.push_back(query.clone());
        }
        if self.order.len() > MAX_ANSWERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.replies.remove(&oldest);
        }
        let mut told = Vec::new();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|one| {
            if !queries(&one.owner, one.about.as_ref()).contains(&query) {
                return true;
            }
            let before = one.owner.clone();
            self.fill(&mut one.owner, one.about.as_ref());
            if one.owner != before {
                told.push(one.owner.clone());
            }
            self.is_open(one)
        });
        self.waiting = waiting;
        told
    }

    /// Adds to a creation what is known of its owner, and waits for what is not.
    pub(crate) fn name(&mut self, creation: &mut CreationStep, realtime_offset_ns: i64) {
        let about = candidates::query(creation, realtime_offset_ns);
        if let Some(inode) = creation.namespaces().and_then(|made| made.netns) {
            // It was given back, and the kernel gave it to another: what is recorded of it now is of
            // that one.
            let of_it = |about: &Query| matches!(about, Query::Netns { inode: other, .. } if *other == inode);
            self.waiting.retain(|one| !one.about.as_ref().is_some_and(of_it));
        }
        let mut owner = creation.owner();
        self.fill(&mut owner, about.as_ref());
        (creation.container, creation.candidates) =
            (owner.container.clone(), owner.candidates.clone());
        let waiting = Waiting { owner, about };
        if self.is_open(&waiting) {
            if self.waiting.len() == MAX_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(waiting);
        }
    }

    /// Whether anything may still be learnt about it.
    fn is_open(&self, waiting: &Waiting) -> bool {
        queries(&waiting.owner, waiting.about.as_ref())
            .iter()
            .any(|query| self.replies.get(query).is_none_or(|reply| !reply.last))
    }

    fn fill(&self, owner: &mut LateAttribution, about: Option<&Query>) {
        let known =
            |query: &Query| self.replies.get(query).map_or(&[][..], |reply| &reply.identities);
        match about {
            // The runtime's own record of the namespace: no guess.
            Some(query @ Query::Netns { .. }) if owner.container.is_none() => {
                if let Some(first) = known(query).first() {
                    let mut container = Container::default();
                    container.learn(first);
                    owner.container = Some(container);
                    owner.candidates.clear();
                }
            }
            Some(query @ Query::Starting { .. }) => {
                // The surest comes last, and so to stand first.
                known(query)
                    .iter()
                    .rev()
                    .for_each(|known| add_candidate(&mut owner.candidates, known));
            }
            _ => {}
        }
        let containers = owner.container.iter_mut();
        for container in containers.chain(owner.candidates.iter_mut().map(|c| &mut c.container)) {
            if let Some(query) = container.query() {
                for known in known(&query) {
                    container.learn(known);
                }
            }
        }
    }
}

/// Puts what a runtime's records say that it was starting first. Of a candidate that there is already
/// they tell more.
fn add_candidate(candidates: &mut Vec<Candidate>, known: &Identity) {
    let mut container = Container::default();
    container.learn(known);
    let by_log = known.by == NamedBy::RuntimeLog;
    let mut added = Candidate { container, why: if by_log { BY_LOG } else { BY_STATE } };
    let known_already =
        candidates.iter().position(|c| candidates::same(&c.container, &added.container));
    if let Some(at) = known_already {
        let mut candidate = candidates.remove(at);
        candidate.container.learn(known);
        let of_pods = [candidates::NEWEST_POD, candidates::FREE_POD].contains(&candidate.why);
        if by_log && of_pods {
            candidate.why = BY_BOTH;
        }
        added = candidate;
    }
    candidates.insert(0, added);
    candidates.truncate(MAX_CANDIDATES);
}

/// All that can be asked about an owner.
fn queries(owner: &LateAttribution, about: Option<&Query>) -> Vec<Query> {
    let containers = owner.container.iter().chain(owner.candidates.iter().map(|c| &c.container));
    let mut seen = HashSet::new();
    let about = about.filter(|_| owner.container.is_none()).cloned();
    about
        .into_iter()
        .chain(containers.filter_map(Container::query))
        .filter(|query| seen.insert(query.clone()))
        .collect()
}

impl CreationStep {
    /// Whose it is.
    fn owner(&self) -> LateAttribution {
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
