//! Following one thread's page allocations from the slow path to what became of them.
use crate::model::{
    allocation::{Allocation, Outcome},
    event::EventKind,
    gfp::Gfp,
};

/// Compaction results kept for one allocation; the slow path rarely tries more than twice.
const MAX_COMPACTIONS: usize = 16;

/// One thread's allocation under way.
///
/// The kernel does not show when an allocation leaves the slow path with its pages, so it ends
/// when the next one begins or its thread's step does. Two alike in a row from the same place
/// are reported as one.
#[derive(Debug, Default)]
pub struct Tracker {
    current: Option<Allocation>,
    failures_unobservable: bool,
}

impl Tracker {
    /// For a kernel on which failed allocations can't be seen, if `failures_unobservable`: every
    /// allocation that enters the slow path may be one.
    pub fn new(failures_unobservable: bool) -> Self {
        Self { current: None, failures_unobservable }
    }

    /// Takes one event and returns the allocation that it ends, if that was in trouble. Events
    /// that are not about an allocation change nothing.
    pub fn push(&mut self, time_ns: u64, event: &EventKind) -> Option<Allocation> {
        match event {
            EventKind::SlowPathEntered { gfp, order } => {
                let ended = self.finish();
                self.current = Some(Allocation::new(gfp.clone(), *order));
                ended
            }
            EventKind::StallBegan { gfp, order, failure } => {
                let (ended, current) = self.continue_with(gfp, *order);
                current.failure.get_or_insert_with(|| failure.clone());
                ended
            }
            EventKind::CompactionEnded { gfp, order, result, stall_ns } => {
                let (ended, current) = self.continue_with(gfp, *order);
                current.stall_ns = current.stall_ns.saturating_add(*stall_ns);
                if current.compactions.len() < MAX_COMPACTIONS {
                    current.compactions.push(*result);
                }
                ended
            }
            EventKind::ReclaimEnded { gfp, order, reclaimed, stall_ns } => {
                let (ended, current) = self.continue_with(gfp, *order);
                current.stall_ns = current.stall_ns.saturating_add(*stall_ns);
                current.reclaimed = current.reclaimed.saturating_add(*reclaimed);
                ended
            }
            EventKind::AllocationFailed { gfp, order, failure } => {
                let (ended, current) = self.continue_with(gfp, *order);
                current.failure = Some(failure.clone());
                current.failed_ns = Some(time_ns);
                ended
            }
            EventKind::OomKill(kill) => {
                let called = Allocation::of_kill(kill)?;
                let (ended, current) = self.continue_with(&called.gfp, called.order);
                (current.outcome, current.failure) = (called.outcome, called.failure);
                ended
            }
            // The correlator's own dispatch is the exhaustive one.
            _ => None,
        }
    }

    /// Ends what is under way; returns it if it was in trouble.
    pub fn finish(&mut self) -> Option<Allocation> {
        let mut ended = self.current.take()?;
        if self.failures_unobservable {
            ended.outcome = Outcome::Unknown;
            return Some(ended);
        }
        if !ended.in_trouble() {
            return None;
        }
        if ended.failed_ns.is_some() {
            ended.outcome =
                if ended.gfp.has_fallback() { Outcome::FellBack } else { Outcome::Failed };
        }
        Some(ended)
    }

    /// The allocation of this mask and order: the one under way, or a new one that ends it, where
    /// its entry was not seen.
    fn continue_with(&mut self, gfp: &Gfp, order: u32) -> (Option<Allocation>, &mut Allocation) {
        let same = self.current.as_ref().is_some_and(|a| a.is(gfp, order) && a.failed_ns.is_none());
        let ended = if same { None } else { self.finish() };
        let current = self.current.get_or_insert_with(|| Allocation::new(gfp.clone(), order));
        (ended, current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::names_6_12,
        model::event::{CompactResult, Failure},
    };

    fn entered(raw: u32, order: u32) -> EventKind {
        EventKind::SlowPathEntered { gfp: names_6_12().decode(raw), order }
    }

    fn compacted(raw: u32, order: u32, result: CompactResult) -> EventKind {
        EventKind::CompactionEnded { gfp: names_6_12().decode(raw), order, result, stall_ns: 1000 }
    }

    fn failed(raw: u32, order: u32) -> EventKind {
        let failure = Failure::default();
        EventKind::AllocationFailed { gfp: names_6_12().decode(raw), order, failure }
    }

    fn run(events: &[EventKind]) -> Vec<(u32, Outcome, u64, usize)> {
        let mut tracker = Tracker::default();
        let mut ended: Vec<Allocation> = events.iter().filter_map(|e| tracker.push(1, e)).collect();
        ended.extend(tracker.finish());
        ended.iter().map(|a| (a.order, a.outcome, a.stall_ns, a.compactions.len())).collect()
    }

    #[test]
    fn a_failure_gathers_its_compactions() {
        let events = [
            entered(0x40cc0, 6),
            compacted(0x40cc0, 6, CompactResult::Complete),
            compacted(0x40cc0, 6, CompactResult::Complete),
            failed(0x40cc0, 6),
        ];
        assert_eq!(run(&events), [(6, Outcome::Failed, 2000, 2)]);
    }

    #[test]
    fn a_mask_with_a_fallback_fell_back() {
        assert_eq!(run(&[failed(0xd20c0, 3)]), [(3, Outcome::FellBack, 0, 0)]);
    }

    #[test]
    fn entering_the_slow_path_is_no_trouble() {
        assert_eq!(run(&[entered(0x40cc0, 6), entered(0xcc0, 0)]), []);
    }

    #[test]
    fn unseen_failures_leave_every_outcome_open() {
        let events = [
            entered(0x40cc0, 6),
            compacted(0x40cc0, 6, CompactResult::Deferred),
            entered(0xcc0, 3),
        ];
        let mut tracker = Tracker::new(true);
        let mut ended: Vec<Allocation> = events.iter().filter_map(|e| tracker.push(1, e)).collect();
        ended.extend(tracker.finish());
        let outcomes: Vec<_> = ended.iter().map(|a| (a.order, a.outcome)).collect();
        assert_eq!(outcomes, [(6, Outcome::Unknown), (3, Outcome::Unknown)]);
    }

    #[test]
    fn another_order_is_another_allocation() {
        let events = [
            entered(0xcc0, 2),
            compacted(0xcc0, 2, CompactResult::Success),
            failed(0x40cc0, 6),
            failed(0x40cc0, 6),
        ];
        let expected = [
            (2, Outcome::Recovered, 1000, 1),
            (6, Outcome::Failed, 0, 0),
            (6, Outcome::Failed, 0, 0),
        ];
        assert_eq!(run(&events), expected);
    }
}
