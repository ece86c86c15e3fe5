//! The entries of the last moments, from which those that belong to an incident are taken.
use std::collections::VecDeque;

use fragwatch_core::model::{
    entry::Entry,
    event::{CreationKey, Event, EventKind},
    step::CreationStep,
};

use crate::store::REORDERED;

/// Bytes that the held entries take: some hundred creations in trouble.
const MAX_BYTES: usize = 160 << 10;

/// Bytes of entries of one incident.
const MAX_INCIDENT_BYTES: usize = 64 << 10;

/// Names that are found so long after an incident belong to it, in nanoseconds.
const LATE_NS: u64 = 60_000_000_000;

/// Recent entries.
#[derive(Debug, Default)]
pub(crate) struct Context {
    entries: VecDeque<Recent>,
    bytes: usize,
    /// The time of the last event, `CLOCK_MONOTONIC` in nanoseconds.
    now_ns: u64,
    /// The time of the last incident.
    incident_ns: Option<u64>,
}

#[derive(Debug)]
struct Recent {
    sequence: u64,
    json: String,
    about: About,
}

/// What an entry is about.
#[derive(Debug)]
enum About {
    /// A task, perhaps inside a creation.
    Task {
        key: Option<CreationKey>,
        pid: u32,
        cgroup_id: u64,
    },
    /// A cgroup.
    Cgroup(u64),
    /// What ended with the entry before.
    EntryBefore,
    Other,
}

impl Recent {
    /// Bytes that it takes.
    fn size(&self) -> usize {
        size_of::<Self>() + self.json.len()
    }
}

impl Context {
    /// Adds an entry; `json` is its JSON.
    pub(crate) fn push(&mut self, sequence: u64, entry: &Entry, json: &str) {
        if let Entry::Event(event) = entry {
            self.now_ns = event.time_ns;
        }
        let recent = Recent { sequence, json: json.to_owned(), about: about(entry) };
        self.bytes += recent.size();
        self.entries.push_back(recent);
        let is_old = |oldest: &Recent| oldest.sequence.saturating_add(REORDERED / 2) < sequence;
        while self.bytes > MAX_BYTES || self.entries.front().is_some_and(is_old) {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }

    /// The entries of a step that just ended in trouble, the oldest first. Each is returned once.
    pub(crate) fn incident(&mut self, step: &CreationStep, now_ns: u64) -> Vec<(u64, String)> {
        self.incident_ns = Some(now_ns);
        self.now_ns = self.now_ns.max(now_ns);
        let mut taken = Vec::new();
        let mut bytes = 0;
        let mut at_end = true;
        // From the newest, so that what a creation ended with is there if it is too long.
        for recent in self.entries.iter_mut().rev() {
            let belongs = match recent.about {
                About::EntryBefore => at_end,
                About::Task { key, pid, cgroup_id } => {
                    let of_creation = key.is_some_and(|key| {
                        key.began_ns == step.began_ns && key.tid == step.task.tid
                    });
                    let last = std::mem::take(&mut at_end);
                    last || of_creation
                        || key.is_none()
                            && (pid == step.task.pid || cgroup_id == step.task.cgroup_id)
                }
                About::Cgroup(id) => {
                    at_end = false;
                    id == step.task.cgroup_id
                }
                About::Other => {
                    at_end = false;
                    false
                }
            };
            if belongs && bytes + recent.json.len() <= MAX_INCIDENT_BYTES {
                bytes += recent.json.len();
                taken.push((recent.sequence, recent.json.clone()));
                recent.about = About::Other;
            }
        }
        taken.reverse();
        taken
    }

    /// Whether an entry is written to the lane of incidents when it comes: what later entries are read
    /// with, and a name that is found after the report.
    pub(crate) fn belongs_to_incident(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Clock { .. }
            | Entry::Loss(_)
            | Entry::Repeats { .. }
            | Entry::Open { .. }
            | Entry::Detached(_)
            | Entry::End { .. } => true,
            Entry::Reply { late: true, .. } => self
                .incident_ns
                .is_some_and(|incident_ns| self.now_ns.saturating_sub(incident_ns) < LATE_NS),
            _ => false,
        }
    }
}

fn about(entry: &Entry) -> About {
    match entry {
        Entry::Event(Event { creation, task, kind, .. }) => match kind {
            EventKind::CgroupMade { id, .. }
            | EventKind::CgroupRenamed { id, .. }
            | EventKind::CgroupRemoved { id } => About::Cgroup(*id),
            _ => About::Task { key: *creation, pid: task.pid, cgroup_id: task.cgroup_id },
        },
        Entry::Cgroup { id, .. } => About::Cgroup(*id),
        entry if entry.is_beside() => About::EntryBefore,
        _ => About::Other,
    }
}

#[cfg(test)]
mod tests {
    use fragwatch_core::{
        fixtures::{self, KEY},
        model::event::CgroupPath,
    };

    use super::*;

    fn push(context: &mut Context, sequence: u64, entry: &Entry) {
        context.push(sequence, entry, &format!("{{\"n\":{sequence}}}"));
    }

    fn sequences(taken: &[(u64, String)]) -> Vec<u64> {
        taken.iter().map(|(sequence, _)| *sequence).collect()
    }

    #[test]
    fn an_incident_has_its_own_entries_and_no_others() {
        let mut context = Context::default();
        let other = CreationKey { began_ns: 7, tid: 9 };
        let event = |key, kind| Entry::Event(fixtures::at(Some(key), 1, kind));
        let step = fixtures::failed_creation();
        let path = CgroupPath::parse("/a");
        push(&mut context, 1, &Entry::Cgroup { id: step.task.cgroup_id, path: path.clone() });
        push(&mut context, 2, &Entry::Cgroup { id: step.task.cgroup_id + 1, path });
        push(&mut context, 3, &event(other, fixtures::entered()));
        push(&mut context, 4, &event(KEY, fixtures::entered()));
        push(&mut context, 5, &Entry::Node(fixtures::facts(1)));
        push(&mut context, 6, &event(other, fixtures::entered()));
        push(&mut context, 7, &event(KEY, fixtures::ended(Some(12))));
        push(&mut context, 8, &Entry::Node(fixtures::facts(2)));
        assert_eq!(sequences(&context.incident(&step, 9)), [1, 4, 7, 8]);
        assert!(context.incident(&step, 9).is_empty(), "each is taken once");
    }

    #[test]
    fn old_entries_are_dropped() {
        let mut context = Context::default();
        let event = Entry::Event(fixtures::at(Some(KEY), 1, fixtures::entered()));
        push(&mut context, 1, &event);
        push(&mut context, 2 + REORDERED, &event);
        let taken = context.incident(&fixtures::failed_creation(), 9);
        assert_eq!(sequences(&taken), [2 + REORDERED]);
        for sequence in 0..2000 {
            context.push(2 * REORDERED + sequence % 9, &event, &"x".repeat(4096));
        }
        assert!(context.bytes <= MAX_BYTES);
    }
}
