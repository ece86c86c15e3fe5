//! Creations whose end is not seen, or not in full.
use crate::{
    attribution::candidates,
    correlate::{
        Correlated,
        allocation_tracker::Tracker,
        correlator::{Correlator, Open},
        unfinished::{self, LONG_NS},
    },
    model::{
        event::{CgroupSetup, CreationKey, Event},
        open_creation::OpenCreation,
        repeats::CountedStep,
        step::StepKind,
    },
};

impl Correlator {
    /// Whether a creation of which there were events has been without an end for long.
    pub fn has_long(&self, now_ns: u64) -> bool {
        let is_long = |key: &CreationKey| now_ns.saturating_sub(key.began_ns) >= LONG_NS;
        self.open.keys().any(is_long)
    }

    /// Takes what the kernel was following at a time. Returns creations that are still under way, or whose end was
    /// lost.
    pub fn open(&mut self, time_ns: u64, creations: Vec<OpenCreation>) -> Vec<Correlated> {
        let failures = |key: &CreationKey| {
            let step = self.open.get(key).map(|open| &open.creation);
            step.map_or(0, |step| step.allocations.len() as u64 + step.allocations_omitted)
        };
        // What the kernel did not follow then either has had time for its end to be read.
        let gone = self.gone();
        let due = self.unfinished.open(time_ns, creations, &self.starts.cgroups, failures);
        let gone = gone.into_iter().filter(|key| self.unfinished.has_ended(key)).collect();
        let mut all = self.lose_ends(gone, time_ns);
        all.extend(due.into_iter().map(|one| Correlated::Unfinished(Box::new(one))));
        all
    }

    /// At a tick: creations whose end was lost, as their thread began another.
    pub fn superseded(&mut self, now_ns: u64) -> Vec<Correlated> {
        let lost = self.unfinished.superseded(now_ns);
        lost.into_iter().map(|one| Correlated::Unfinished(Box::new(one))).collect()
    }

    /// At the end of the trace: creations whose end was lost.
    pub fn finish(&mut self) -> Vec<Correlated> {
        let gone = self.gone();
        let now_ns = gone.iter().map(|key| key.began_ns).max().unwrap_or(0);
        let mut all = self.superseded(now_ns);
        all.extend(self.lose_ends(gone, now_ns));
        all
    }

    /// Creations without an end that the kernel was no longer following when it was last asked.
    fn gone(&self) -> Vec<CreationKey> {
        self.open.keys().filter(|key| self.unfinished.has_ended(key)).copied().collect()
    }

    /// Reports creations that have ended without a record of that.
    fn lose_ends(&mut self, gone: Vec<CreationKey>, at_ns: u64) -> Vec<Correlated> {
        self.dropped += gone.len() as u64;
        let lost = gone.into_iter().filter_map(|key| {
            let mut creation = self.open.remove(&key)?.into_creation();
            creation.cgroup = self.starts.cgroups.path(creation.task.cgroup_id);
            creation.container = candidates::certain(&creation);
            Some(unfinished::end_lost(key, &creation, at_ns))
        });
        let lost = unfinished::limited(lost.collect());
        lost.into_iter().map(|one| Correlated::Unfinished(Box::new(one))).collect()
    }

    /// A creation ended, and that is all that is known of its end.
    pub(super) fn brief_end(
        &mut self,
        key: CreationKey,
        event: Event,
        step: CountedStep,
        errno: Option<i32>,
        namespaces: u64,
    ) -> Option<Correlated> {
        let superseded = self.unfinished.take(key);
        if superseded.is_some() {
            self.dropped = self.dropped.saturating_sub(1);
        }
        let known = self.open.remove(&key).map(Open::into_creation).or(superseded);
        let blind = self.failures_unobservable;
        let mut creation = known.unwrap_or_else(|| Open::new(key, &event, blind).creation);
        creation.events_lost = true;
        creation.cgroup = self.starts.cgroups.path(event.task.cgroup_id);
        if step == CountedStep::Cgroup {
            creation.kind = StepKind::Cgroup(CgroupSetup { errno, ..CgroupSetup::unknown() });
        } else if let StepKind::Namespaces(made) = &mut creation.kind {
            made.flags = namespaces;
        }
        creation.task = event.task;
        self.open.insert(key, Open { creation, tracker: Tracker::new(blind) });
        self.end(key, event.time_ns, errno)
    }
}
