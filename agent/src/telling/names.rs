//! What was asked about containers and answered, and the creations that still wait for an answer.
use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    container::{
        Candidate, Container,
        known::{Answer, Known, NamedBy, Question},
        owner::{self, MAX_CANDIDATES},
    },
    creation::Creation,
    evidence::Task,
};

/// Answers kept at a time; the oldest goes first.
const MAX_ANSWERS: usize = 512;
/// Kept of one question: there are not so many to tell it.
const MAX_KNOWN: usize = 8;
/// Creations that wait for an answer at a time; the oldest goes first, and stays as it was told.
const MAX_WAITING: usize = 256;

/// Why a container is a candidate of which only a runtime's records tell.
const BY_LOG: &str = "a runtime's log says that its start was under way";
const BY_STATE: &str = "it was made just before";
const BY_BOTH: &str =
    "it has no container yet, and a runtime's log says that its start was under way";

/// A creation's owner, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
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
pub(super) struct Names {
    answers: HashMap<Question, Answer>,
    order: VecDeque<Question>,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    /// As it was told last.
    owner: Owner,
    /// What is asked about it as a whole.
    about: Option<Question>,
}

impl Names {
    /// What is to be asked about a creation that is not answered yet; `ahead_ns` is how far the time of
    /// day is ahead of `CLOCK_MONOTONIC`.
    pub(super) fn questions(&self, creation: &Creation, ahead_ns: i64) -> Vec<Question> {
        let about = owner::question(creation, ahead_ns);
        let mut asked = questions(&creation.owner(), about.as_ref());
        // What nobody knew somebody may know now.
        let known = |answer: &Answer| !answer.known.is_empty();
        asked.retain(|question| !self.answers.get(question).is_some_and(known));
        asked
    }

    /// Keeps an answer. Those that it tells more about than was told before are returned.
    pub(super) fn answer(&mut self, mut answer: Answer) -> Vec<Owner> {
        let question = answer.question.clone();
        // Whom a runtime was starting it knows better later; all else adds to what was told before.
        if let Some(before) = self.answers.get(&question)
            && (answer.known.is_empty() || !matches!(question, Question::Starting { .. }))
        {
            let more: Vec<Known> = before
                .known
                .iter()
                .filter(|known| !answer.known.contains(known))
                .cloned()
                .collect();
            answer.known.extend(more);
            answer.known.truncate(MAX_KNOWN);
        }
        if self.answers.insert(question.clone(), answer).is_none() {
            self.order.push_back(question.clone());
        }
        if self.order.len() > MAX_ANSWERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        let mut told = Vec::new();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|one| {
            if !questions(&one.owner, one.about.as_ref()).contains(&question) {
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
    pub(super) fn name(&mut self, creation: &mut Creation, ahead_ns: i64) {
        let about = owner::question(creation, ahead_ns);
        if let Some(inode) = creation.netns {
            // It was given back, and the kernel gave it to another: what is recorded of it now is of
            // that one.
            let of_it = |about: &Question| matches!(about, Question::Netns { inode: other, .. } if *other == inode);
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
        questions(&waiting.owner, waiting.about.as_ref())
            .iter()
            .any(|question| self.answers.get(question).is_none_or(|answer| !answer.last))
    }

    fn fill(&self, owner: &mut Owner, about: Option<&Question>) {
        let known = |question: &Question| {
            self.answers.get(question).map_or(&[][..], |answer| &answer.known)
        };
        match about {
            // The runtime's own record of the namespace: no guess.
            Some(question @ Question::Netns { .. }) if owner.container.is_none() => {
                if let Some(first) = known(question).first() {
                    let mut container = Container::default();
                    container.learn(first);
                    owner.container = Some(container);
                    owner.candidates.clear();
                }
            }
            Some(question @ Question::Starting { .. }) => {
                // The surest comes last, and so to stand first.
                known(question)
                    .iter()
                    .rev()
                    .for_each(|known| add_candidate(&mut owner.candidates, known));
            }
            _ => {}
        }
        let containers = owner.container.iter_mut();
        for container in containers.chain(owner.candidates.iter_mut().map(|c| &mut c.container)) {
            if let Some(question) = container.question() {
                for known in known(&question) {
                    container.learn(known);
                }
            }
        }
    }
}

/// Puts what a runtime's records say that it was starting first. Of a candidate that there is already
/// they tell more.
fn add_candidate(candidates: &mut Vec<Candidate>, known: &Known) {
    let mut container = Container::default();
    container.learn(known);
    let by_log = known.by == NamedBy::RuntimeLog;
    let mut added = Candidate { container, why: if by_log { BY_LOG } else { BY_STATE } };
    let known_already = candidates.iter().position(|c| owner::same(&c.container, &added.container));
    if let Some(at) = known_already {
        let mut candidate = candidates.remove(at);
        candidate.container.learn(known);
        let of_pods = [owner::NEWEST_POD, owner::FREE_POD].contains(&candidate.why);
        if by_log && of_pods {
            candidate.why = BY_BOTH;
        }
        added = candidate;
    }
    candidates.insert(0, added);
    candidates.truncate(MAX_CANDIDATES);
}

/// All that can be asked about an owner.
fn questions(owner: &Owner, about: Option<&Question>) -> Vec<Question> {
    let containers = owner.container.iter().chain(owner.candidates.iter().map(|c| &c.container));
    let mut seen = HashSet::new();
    let about = about.filter(|_| owner.container.is_none()).cloned();
    about
        .into_iter()
        .chain(containers.filter_map(Container::question))
        .filter(|question| seen.insert(question.clone()))
        .collect()
}

impl Creation {
    /// Whose it is.
    fn owner(&self) -> Owner {
        Owner {
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
