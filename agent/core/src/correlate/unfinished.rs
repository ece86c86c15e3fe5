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
            let is_due = again.is_none_or(|reported| time_ns.saturating_sub(*reported) >= AGAIN_NS);
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
        self.last
            .as_ref()
            .is_some_and(|(time_ns, keys)| key.began_ns < *time_ns && !keys.contains(key))
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
            StepKind::Namespaces(_)
            | StepKind::Failed(_)
            | StepKind::Allocation
            | StepKind::OomKill { .. } => CountedStep::Other,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        correlate::{Correlated, Correlator},
        fixtures::{KEY, at, ended, entered, failed, frame},
        model::event::{Event, EventKind, Task},
    };

    const SECOND: u64 = 1_000_000_000;

    fn open(key: CreationKey) -> OpenCreation {
        OpenCreation {
            creation: key,
            task: Task {
                pid: key.tid,
                tid: key.tid,
                comm: "runc:[1:CHILD]".to_owned(),
                cgroup_id: 4711,
                user: None,
            },
            step: CountedStep::Namespaces,
            namespaces: 0x4000_0000,
            stall_ns: 0,
            stack: Some(vec![frame("copy_net_ns", None)]),
        }
    }

    fn unfinished(correlated: Vec<Correlated>) -> Vec<Unfinished> {
        let one = |correlated| match correlated {
            Correlated::Unfinished(one) => *one,
            other => panic!("something else: {other:?}"),
        };
        correlated.into_iter().map(one).collect()
    }

    /// Seconds after its beginning at which one is reported, if the kernel is asked each second.
    #[test]
    fn one_under_way_is_reported_after_ten_seconds_and_each_minute() {
        let mut correlator = Correlator::default();
        correlator.push(at(Some(KEY), 1, failed(0xd20c0)));
        let mut reported = Vec::new();
        for second in 1..150 {
            let found = correlator.open(KEY.began_ns + second * SECOND, vec![open(KEY)]);
            let found = unfinished(found);
            assert!(found.iter().all(|one| matches!(one.state, State::UnderWay { .. })));
            reported.extend(found.iter().map(|_| second));
        }
        assert_eq!(reported, [10, 70, 130]);
        let end = correlator.push(at(Some(KEY), 150_000, ended(None)));
        assert!(matches!(end.as_slice(), [Correlated::CreationStep(_)]), "{end:?}");
    }

    #[test]
    fn many_under_way_are_ten_and_a_count() {
        let creations = (1..=500).map(|tid| open(CreationKey { tid, ..KEY })).collect();
        let found = unfinished(Correlator::default().open(KEY.began_ns + 20 * SECOND, creations));
        assert_eq!(found.len(), MAX_AT_ONCE);
        assert_eq!(found.iter().map(|one| one.more).sum::<u64>(), 490);
    }

    #[test]
    fn one_that_has_ended_without_a_record_has_lost_its_end() {
        let mut correlator = Correlator::default();
        correlator.push(at(Some(KEY), 1, entered()));
        assert!(!correlator.has_long(KEY.began_ns + 9 * SECOND));
        assert!(correlator.has_long(KEY.began_ns + 10 * SECOND));
        // Its end may just not have been read yet.
        assert_eq!(correlator.open(KEY.began_ns + 10 * SECOND, Vec::new()), []);
        let found = unfinished(correlator.open(KEY.began_ns + 15 * SECOND, Vec::new()));
        let [one] = found.as_slice() else { panic!("not one: {found:#?}") };
        assert_eq!((&one.state, one.task.pid), (&State::EndLost, 753));
        assert_eq!(one.task.comm, "runc:[1:CHILD]");
        assert!(!correlator.has_long(KEY.began_ns + 20 * SECOND), "it is reported once");
        assert_eq!(correlator.unfinished(), 1);
    }

    #[test]
    fn one_whose_thread_began_another_has_lost_its_end() {
        let mut correlator = Correlator::default();
        correlator.push(at(Some(KEY), 1, entered()));
        let next = CreationKey { began_ns: 2 * SECOND, ..KEY };
        assert_eq!(correlator.push(at(Some(next), 1001, entered())), []);
        assert!(correlator.follows_outside(), "a tick is needed");
        let found = unfinished(correlator.superseded(3 * SECOND));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].creation, &found[0].state), (KEY, &State::EndLost));
        assert_eq!(unfinished(correlator.superseded(3 * SECOND)), []);
    }

    fn brief(key: CreationKey, ms: u64, errno: Option<i32>) -> Event {
        let step = CountedStep::Namespaces;
        at(Some(key), ms, EventKind::BriefEnd { step, errno, namespaces: 0x4000_0000 })
    }

    #[test]
    fn a_brief_end_is_an_incomplete_creation() {
        let mut correlator = Correlator::default();
        correlator.push(at(Some(KEY), 1, failed(0x40cc0)));
        // Its thread began another, whose first record was read before the brief end.
        let next = CreationKey { began_ns: 2 * SECOND, ..KEY };
        correlator.push(at(Some(next), 1001, entered()));
        for (key, allocations) in [(KEY, 1), (CreationKey { tid: 9, ..KEY }, 0)] {
            let ended = correlator.push(brief(key, 2, Some(libc::ENOMEM)));
            let [Correlated::CreationStep(step)] = ended.as_slice() else {
                panic!("no step: {ended:?}")
            };
            assert!(step.events_lost);
            assert_eq!((step.errno, step.task.pid), (Some(libc::ENOMEM), 753));
            assert_eq!(step.allocations.len(), allocations);
        }
        assert_eq!(correlator.superseded(3 * SECOND), []);
        assert_eq!(correlator.unfinished(), 1, "the thread's other one");
    }

    #[test]
    fn at_the_end_only_those_that_the_kernel_does_not_follow_are_lost() {
        let mut correlator = Correlator::default();
        let other = CreationKey { tid: 9, ..KEY };
        correlator.push(at(Some(KEY), 1, entered()));
        correlator.push(at(Some(other), 1, entered()));
        assert_eq!(correlator.open(KEY.began_ns + SECOND, vec![open(other)]), []);
        let found = unfinished(correlator.finish());
        assert_eq!(found.iter().map(|one| one.creation).collect::<Vec<_>>(), [KEY]);
    }
}
