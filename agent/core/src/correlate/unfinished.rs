//! Creations whose end is not seen: those that are still under way, and those whose end record was lost.
use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    attribution::{candidates, cgroups::Cgroups},
    correlate::MAX_OPEN,
    model::{
        event::CreationKey,
        open_creation::{OpenCreation, State, Unfinished},
        repeats::CountedStep,
        step::{CreationStep, StepKind},
    },
};

/// A creation that takes longer than this is reported before its end. One that waits for memory takes tenths
/// of a second.
pub const LONG_NS: u64 = 10_000_000_000;
/// It is reported again after this time.
const AGAIN_NS: u64 = 60_000_000_000;
/// Creations that are reported at a time; further ones are counted.
const MAX_AT_ONCE: usize = 10;

/// What is known of creations without an end.
#[derive(Default)]
pub(super) struct Watch {
    /// Those that have been reported as under way, with the last time.
    reported: HashMap<CreationKey, u64>,
    /// Those that the kernel was following when it was last asked, and when that was.
    last: Option<(u64, HashSet<CreationKey>)>,
    /// Those of which nothing more can come but their end's brief record: their thread began another.
    superseded: VecDeque<(CreationKey, CreationStep)>,
}

impl Watch {
    /// Takes note of a creation whose thread began another one.
    pub(super) fn supersede(&mut self, key: CreationKey, step: CreationStep) {
        if self.superseded.len() == MAX_OPEN {
            self.superseded.pop_front();
        }
        self.superseded.push_back((key, step));
    }

    /// The creation of a thread that began another since, if its end has come after all.
    pub(super) fn take(&mut self, key: CreationKey) -> Option<CreationStep> {
        let at = self.superseded.iter().position(|(other, _)| *other == key)?;
        self.superseded.remove(at).map(|(_, step)| step)
    }

    /// Whether there is something to report at the next tick.
    pub(super) fn has_superseded(&self) -> bool {
        !self.superseded.is_empty()
    }

    /// Those whose thread began another: their ends were lost.
    pub(super) fn superseded(&mut self, at_ns: u64) -> Vec<Unfinished> {
        let lost = self.superseded.drain(..).map(|(key, step)| end_lost(key, &step, at_ns));
        limited(lost.collect())
    }

    /// What the kernel was following at a time. Returns those that are to be reported as under way.
    pub(super) fn open(
        &mut self,
        time_ns: u64,
        creations: Vec<OpenCreation>,
        cgroups: &Cgroups,
        failures: impl Fn(&CreationKey) -> u64,
    ) -> Vec<Unfinished> {
        let keys: HashSet<CreationKey> = creations.iter().map(|open| open.creation).collect();
        self.reported.retain(|key, _| keys.contains(key));
        self.last = Some((time_ns, keys));
        let mut due = Vec::new();
        for open in creations {
            let age = time_ns.saturating_sub(open.creation.began_ns);
            let again = self.reported.get(&open.creation);
            let is_due =
                again.is_none_or(|reported| time_ns.saturating_sub(*reported) >= AGAIN_NS);
            if age < LONG_NS || !is_due {
                continue;
            }
            self.reported.insert(open.creation, time_ns);
            let cgroup = cgroups.path(open.task.cgroup_id);
            let container = candidates::of_task(&open.task, cgroup.as_ref());
            due.push(Unfinished {
                creation: open.creation,
                step: open.step,
                namespaces: open.namespaces,
                cgroup,
                container,
                at_ns: time_ns,
                failures: failures(&open.creation),
                state: State::UnderWay { stall_ns: open.stall_ns, stack: open.stack },
                task: open.task,
                more: 0,
            });
        }
        limited(due)
    }

    /// Whether the kernel was no longer following a creation when it was last asked, so that it has ended.
    pub(super) fn has_ended(&self, key: &CreationKey) -> bool {
        self.last.as_ref().is_some_and(|(time_ns, keys)| key.began_ns < *time_ns && !keys.contains(key))
    }
}

/// One whose end record was lost.
pub(super) fn end_lost(key: CreationKey, step: &CreationStep, at_ns: u64) -> Unfinished {
    Unfinished {
        creation: key,
        task: step.task.clone(),
        step: match &step.kind {
            StepKind::Cgroup(_) => CountedStep::Cgroup,
            StepKind::Fork(_) => CountedStep::Fork,
            // Which step it is stands in its end's record.
            StepKind::Namespaces(_) | StepKind::OomKill { .. } => CountedStep::Other,
        },
        namespaces: step.namespaces().map_or(0, |made| made.flags),
        cgroup: step.cgroup.clone(),
        container: step.container.clone(),
        at_ns,
        failures: step.allocations.len() as u64 + step.allocations_omitted,
        state: State::EndLost,
        more: 0,
    }
}

/// The oldest, and how many more there are.
pub(super) fn limited(mut all: Vec<Unfinished>) -> Vec<Unfinished> {
    all.sort_by_key(|one| (one.creation.began_ns, one.creation.tid));
    let more = all.len().saturating_sub(MAX_AT_ONCE);
    all.truncate(MAX_AT_ONCE);
    if let Some(last) = all.last_mut() {
        last.more = more as u64;
    }
    all
}
