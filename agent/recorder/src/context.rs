//! The entries of the last moments, from which those that belong to an incident are taken.
use std::collections::VecDeque;

use fragwatch_core::model::{
    entry::Entry,
    event::{CreationKey, Event, EventKind},
    step::CreationStep,
};

use crate::store::REORDERED;

/// Bytes of entries that are held: some hundred creations.
const MAX_BYTES: usize = 256 << 10;

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

impl Context {
    /// Adds an entry; `json` is its JSON.
    pub(crate) fn push(&mut self, sequence: u64, entry: &Entry, json: &str) {
        if let Entry::Event(event) = entry {
            self.now_ns = event.time_ns;
        }
        self.bytes += json.len();
        self.entries.push_back(Recent { sequence, json: json.to_owned(), about: about(entry) });
        let is_old = |oldest: &Recent| oldest.sequence.saturating_add(REORDERED / 2) < sequence;
        while self.bytes > MAX_BYTES || self.entries.front().is_some_and(is_old) {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.json.len();
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
                About::Other => false,
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
            Entry::Clock { .. } | Entry::Loss(_) | Entry::End { .. } => true,
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
