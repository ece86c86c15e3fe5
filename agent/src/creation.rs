//! Evidence, put together into container creations, and into incidents outside of them.
use std::collections::HashMap;

use crate::{
    allocation::{Allocation, Outcome as AllocationOutcome, Tracker},
    evidence::{CgroupPath, CreationKey, Event, Evidence, Task},
    kernel::symbols::Frame,
    site,
};

/// A creation stalled if direct compaction and reclaim took longer than this in all.
pub const STALL_NS: u64 = 1_000_000;
/// Allocations and slab caches kept for one creation.
const MAX_DETAILS: usize = 32;
/// Creations and outside threads followed at a time.
const MAX_OPEN: usize = 4096;
/// An allocation outside a creation is over when its thread has been quiet for this long.
const OUTSIDE_QUIET_NS: u64 = 500_000_000;

/// How a creation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing was wrong.
    Ok,
    /// It waited for memory for more than a millisecond.
    Stalled,
    /// An allocation failed, and the kernel went on without it.
    Degraded,
    /// It returned an error.
    Failed,
}

/// A slab cache that a creation asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlabCache {
    /// Its name, from outside.
    pub name: String,
    /// Object size in bytes.
    pub size: u32,
    /// It could not be created.
    pub failed: bool,
}

/// The subsystem whose per-netns initialisation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PernetInit {
    /// When it was entered, `CLOCK_MONOTONIC` in nanoseconds; `None` if that was not seen.
    pub began_ns: Option<u64>,
    /// When it returned.
    pub ended_ns: u64,
    /// Its function.
    pub init: Option<Frame>,
    /// The error as a positive errno.
    pub errno: i32,
}

/// One network namespace, set up for a container or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Creation {
    /// Counts from 1 in the order of their ends.
    pub id: u64,
    /// Who.
    pub task: Task,
    /// Its cgroup when it began; `None` if the beginning was not seen.
    pub cgroup: Option<CgroupPath>,
    /// When it began, `CLOCK_MONOTONIC` in nanoseconds.
    pub began_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// The error as a positive errno.
    pub errno: Option<i32>,
    /// Inode of the new namespace.
    pub netns: Option<u32>,
    /// Allocations in trouble, in time order.
    pub allocations: Vec<Allocation>,
    /// More such allocations, not kept.
    pub allocations_omitted: u64,
    /// How long it waited in direct compaction and reclaim in all, in nanoseconds.
    pub stall_ns: u64,
    /// Slab caches asked for, in time order.
    pub slab_caches: Vec<SlabCache>,
    /// The subsystem that failed.
    pub pernet_init: Option<PernetInit>,
    /// Events were lost while it was under way: something may be missing.
    pub events_lost: bool,
}

impl Creation {
    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        let failure = |a: &Allocation| a.outcome != AllocationOutcome::Recovered;
        if self.errno.is_some() {
            Outcome::Failed
        } else if self.allocations.iter().any(failure) {
            Outcome::Degraded
        } else if self.stall_ns > STALL_NS {
            Outcome::Stalled
        } else {
            Outcome::Ok
        }
    }

    fn keep(&mut self, allocation: Allocation) {
        self.stall_ns = self.stall_ns.saturating_add(allocation.stall_ns);
        if self.allocations.len() == MAX_DETAILS {
            // The last failures decide: what went well goes first, then what came first.
            let spare = |outcome| self.allocations.iter().position(|a| a.outcome == outcome);
            let at = spare(AllocationOutcome::Recovered)
                .or_else(|| spare(AllocationOutcome::FellBack))
                .unwrap_or(0);
            self.allocations.remove(at);
            self.allocations_omitted += 1;
        }
        self.allocations.push(allocation);
    }
}

/// A failed or stalled allocation outside any creation.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Who.
    pub task: Task,
    /// When it was last heard of, `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// The allocation.
    pub allocation: Allocation,
}

/// What came out of the evidence.
#[derive(Clone, Debug, PartialEq)]
pub enum Story {
    /// A creation that ended.
    Creation(Box<Creation>),
    /// Trouble outside any creation.
    Incident(Box<Incident>),
}

struct Open {
    creation: Creation,
    tracker: Tracker,
}

#[derive(Default)]
struct Outside {
    task: Option<Task>,
    time_ns: u64,
    tracker: Tracker,
}

/// Puts evidence together. It must come in time order per thread.
#[derive(Default)]
pub struct Correlator {
    open: HashMap<CreationKey, Open>,
    outside: HashMap<u32, Outside>,
    ended: u64,
    dropped: u64,
}

impl Correlator {
    /// Takes one piece of evidence; returns the stories that it ends.
    pub fn push(&mut self, evidence: Evidence) -> Vec<Story> {
        match evidence.creation {
            Some(key) => self.inside(key, evidence).into_iter().collect(),
            None => self.outside(evidence),
        }
    }

    /// Ends outside stories that have been quiet for a while, all of them if `now_ns` is `None`.
    pub fn flush_outside(&mut self, now_ns: Option<u64>) -> Vec<Story> {
        let over = |o: &Outside| {
            now_ns.is_none_or(|now| now.saturating_sub(o.time_ns) >= OUTSIDE_QUIET_NS)
        };
        let tids: Vec<u32> =
            self.outside.iter().filter(|(_, o)| over(o)).map(|(&tid, _)| tid).collect();
        let mut ended: Vec<Outside> =
            tids.iter().filter_map(|tid| self.outside.remove(tid)).collect();
        ended.sort_by_key(|o| o.time_ns);
        ended.iter_mut().filter_map(Outside::finish).collect()
    }

    /// Creations that began and did not end.
    pub fn unfinished(&self) -> u64 {
        self.open.len() as u64 + self.dropped
    }

    fn inside(&mut self, key: CreationKey, evidence: Evidence) -> Option<Story> {
        if !self.open.contains_key(&key) {
            self.make_room(key);
            self.open.insert(key, Open::new(key, &evidence));
        }
        let open = self.open.get_mut(&key)?;
        let Evidence { time_ns, task, event, .. } = evidence;
        // An interrupt borrows the thread: what it allocates is not the creation's.
        if let Event::AllocationFailed { failure, .. } = &event
            && !site::is_creations_own(&failure.stack)
        {
            log::debug!("an interrupt's allocation failed in tid {} while it created", task.tid);
            return None;
        }
        if let Some(allocation) = open.tracker.push(time_ns, &event) {
            open.creation.keep(allocation);
        }
        let creation = &mut open.creation;
        match event {
            Event::NetnsSetupBegan { cgroup } => creation.cgroup = Some(cgroup),
            Event::SlabCacheCreated { name, size, failed } => {
                if creation.slab_caches.len() == MAX_DETAILS {
                    creation.slab_caches.remove(0);
                }
                creation.slab_caches.push(SlabCache { name, size, failed });
            }
            Event::PernetInitFailed { began_ns, init, errno } => {
                let ended_ns = time_ns;
                creation.pernet_init = Some(PernetInit { began_ns, ended_ns, init, errno });
            }
            Event::NetnsSetupEnded { errno, netns, lost } => {
                let Open { mut creation, mut tracker } = self.open.remove(&key)?;
                if let Some(allocation) = tracker.finish() {
                    creation.keep(allocation);
                }
                self.ended += 1;
                creation.id = self.ended;
                creation.ended_ns = time_ns;
                (creation.errno, creation.netns) = (errno, netns);
                creation.events_lost = lost;
                if errno.is_none() {
                    // All went well, so whoever failed had a fallback, whatever its mask said.
                    for allocation in &mut creation.allocations {
                        if allocation.outcome == AllocationOutcome::Failed {
                            allocation.outcome = AllocationOutcome::FellBack;
                        }
                    }
                }
                return Some(Story::Creation(Box::new(creation)));
            }
            Event::SlowPathEntered { .. }
            | Event::AllocationFailed { .. }
            | Event::CompactionEnded { .. }
            | Event::ReclaimEnded { .. } => {}
        }
        None
    }

    /// A thread is in one creation at a time, so an older one of this thread has ended unseen;
    /// and the table is bounded.
    fn make_room(&mut self, key: CreationKey) {
        let before = self.open.len();
        self.open.retain(|other, _| other.tid != key.tid);
        if self.open.len() >= MAX_OPEN
            && let Some(&oldest) = self.open.keys().min_by_key(|k| k.began_ns)
        {
            self.open.remove(&oldest);
        }
        self.dropped += (before - self.open.len()) as u64;
    }

    fn outside(&mut self, evidence: Evidence) -> Vec<Story> {
        let Evidence { time_ns, task, event, .. } = evidence;
        let full = self.outside.len() >= MAX_OPEN && !self.outside.contains_key(&task.tid);
        let mut ended = if full { self.flush_outside(None) } else { Vec::new() };
        let thread = self.outside.entry(task.tid).or_default();
        if let Some(allocation) = thread.tracker.push(time_ns, &event) {
            ended.extend(thread.story(allocation));
        }
        (thread.task, thread.time_ns) = (Some(task), time_ns);
        if matches!(event, Event::AllocationFailed { .. }) {
            // A failure is the end of it: nothing to wait for.
            ended.extend(thread.finish());
        }
        ended
    }
}

impl Open {
    fn new(key: CreationKey, evidence: &Evidence) -> Self {
        let creation = Creation {
            id: 0,
            task: evidence.task.clone(),
            cgroup: None,
            began_ns: key.began_ns,
            ended_ns: evidence.time_ns,
            errno: None,
            netns: None,
            allocations: Vec::new(),
            allocations_omitted: 0,
            stall_ns: 0,
            slab_caches: Vec::new(),
            pernet_init: None,
            events_lost: false,
        };
        Self { creation, tracker: Tracker::default() }
    }
}

impl Outside {
    fn finish(&mut self) -> Option<Story> {
        let allocation = self.tracker.finish()?;
        self.story(allocation)
    }

    /// Only what failed or stalled at an order above 0 is worth telling.
    fn story(&self, allocation: Allocation) -> Option<Story> {
        let trouble =
            allocation.outcome != AllocationOutcome::Recovered || allocation.stall_ns > STALL_NS;
        if allocation.order == 0 || !trouble {
            return None;
        }
        let task = self.task.clone()?;
        Some(Story::Incident(Box::new(Incident { task, time_ns: self.time_ns, allocation })))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        evidence::{CompactResult, Failure},
        kernel::{gfp::tests::names_6_12, zone::tests::fragmented},
    };

    pub(crate) const KEY: CreationKey = CreationKey { began_ns: 1_000_000_000, tid: 753 };

    pub(crate) fn at(creation: Option<CreationKey>, ms: u64, event: Event) -> Evidence {
        Evidence {
            time_ns: 1_000_000_000 + ms * 1_000_000,
            creation,
            task: Task { pid: 753, tid: 753, comm: "runc:[1:CHILD]".to_owned(), cgroup_id: 4711 },
            event,
        }
    }

    pub(crate) fn frame(function: &str, module: Option<&str>) -> Frame {
        let module = module.map(str::to_owned);
        Frame { function: Some(function.to_owned()), module, address: 0xffff_ffff_8100_0000 }
    }

    fn failed(raw: u32) -> Event {
        let stack = [
            ("warn_alloc", None),
            ("__alloc_pages_slowpath.constprop.0", None),
            ("__alloc_pages_noprof", None),
            ("___kmalloc_large_node", None),
            ("fw_pernet_init", Some("fragwatch_pernet")),
            ("ops_init", None),
            ("setup_net", None),
            ("copy_net_ns", None),
            ("create_new_namespaces", None),
        ];
        Event::AllocationFailed {
            gfp: names_6_12().decode(raw),
            order: 6,
            failure: Failure {
                stack: stack.iter().map(|(f, m)| frame(f, *m)).collect(),
                zones: vec![fragmented()],
                zones_complete: true,
            },
        }
    }

    fn entered() -> Event {
        Event::SlowPathEntered { gfp: names_6_12().decode(0x40cc0), order: 6 }
    }

    fn compacted(stall_ns: u64) -> Event {
        let result = CompactResult::Complete;
        Event::CompactionEnded { gfp: names_6_12().decode(0x40cc0), order: 6, result, stall_ns }
    }

    fn began() -> Event {
        let id = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
        let pod = "pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
        let names = ["kubepods", "burstable", pod, id].map(str::to_owned).to_vec();
        Event::NetnsSetupBegan { cgroup: CgroupPath { names, truncated: false } }
    }

    fn ended(errno: Option<i32>) -> Event {
        let netns = errno.is_none().then_some(4_026_532_115);
        Event::NetnsSetupEnded { errno, netns, lost: false }
    }

    fn tell(events: Vec<Event>) -> Creation {
        let mut correlator = Correlator::default();
        let mut stories = Vec::new();
        for (i, event) in events.into_iter().enumerate() {
            stories.extend(correlator.push(at(Some(KEY), i as u64, event)));
        }
        assert_eq!(correlator.unfinished(), 0);
        match stories.pop() {
            Some(Story::Creation(creation)) if stories.is_empty() => *creation,
            other => panic!("not one creation: {other:?} after {stories:?}"),
        }
    }

    /// The failure that the project is about.
    pub(crate) fn failed_creation() -> Creation {
        let init = Some(frame("fw_pernet_init", Some("fragwatch_pernet")));
        let slab = ("fw_conn_17".to_owned(), 320, false);
        tell(vec![
            began(),
            Event::SlabCacheCreated { name: slab.0, size: slab.1, failed: slab.2 },
            entered(),
            compacted(1_200_000),
            compacted(1_210_000),
            failed(0x40cc0),
            Event::PernetInitFailed { began_ns: Some(1_000_500_000), init, errno: libc::ENOMEM },
            ended(Some(libc::ENOMEM)),
        ])
    }

    /// The same allocation fails, and the creation survives it.
    pub(crate) fn degraded_creation() -> Creation {
        tell(vec![began(), entered(), compacted(400_000), failed(0x40cc0), ended(None)])
    }

    pub(crate) fn ok_creation() -> Creation {
        tell(vec![began(), ended(None)])
    }

    pub(crate) fn incident() -> Incident {
        let mut correlator = Correlator::default();
        assert_eq!(correlator.push(at(None, 1, compacted(3_000_000))), []);
        match correlator.push(at(None, 2, failed(0x40cc0))).pop() {
            Some(Story::Incident(incident)) => *incident,
            other => panic!("no incident: {other:?}"),
        }
    }

    #[test]
    fn a_failed_creation_has_its_whole_story() {
        let creation = failed_creation();
        assert_eq!(creation.outcome(), Outcome::Failed);
        assert_eq!(creation.ended_ns - creation.began_ns, 7_000_000);
        assert_eq!(creation.allocations.len(), 1);
        assert_eq!(creation.allocations[0].outcome, AllocationOutcome::Failed);
        assert_eq!(creation.allocations[0].stall_ns, 2_410_000);
        assert_eq!(creation.slab_caches.len(), 1);
    }

    #[test]
    fn what_went_well_in_the_end_had_a_fallback() {
        let creation = degraded_creation();
        assert_eq!(creation.outcome(), Outcome::Degraded);
        assert_eq!(creation.allocations[0].outcome, AllocationOutcome::FellBack);
    }

    #[test]
    fn stalls_add_up() {
        let stalled =
            |ns| tell(vec![began(), entered(), compacted(ns), compacted(ns), ended(None)]);
        assert_eq!(stalled(500_000).outcome(), Outcome::Ok);
        assert_eq!(stalled(500_001).outcome(), Outcome::Stalled);
        assert_eq!(ok_creation().outcome(), Outcome::Ok);
    }

    #[test]
    fn an_interrupts_failure_is_not_the_creations() {
        let Event::AllocationFailed { gfp, order, mut failure } = failed(0x820) else {
            unreachable!("`failed` makes failures")
        };
        failure.stack.insert(5, frame("handle_softirqs", None));
        let creation =
            tell(vec![began(), Event::AllocationFailed { gfp, order, failure }, ended(None)]);
        assert_eq!(creation.outcome(), Outcome::Ok);
    }

    #[test]
    fn a_story_without_its_beginning_is_told() {
        let creation = tell(vec![failed(0x40cc0), ended(Some(libc::ENOMEM))]);
        assert_eq!(creation.cgroup, None);
        assert_eq!(creation.outcome(), Outcome::Failed);
    }

    #[test]
    fn a_return_that_never_came_is_counted() {
        let mut correlator = Correlator::default();
        assert_eq!(correlator.push(at(Some(KEY), 0, began())), []);
        assert_eq!(correlator.unfinished(), 1);
        let later = CreationKey { began_ns: 2_000_000_000, ..KEY };
        assert_eq!(correlator.push(at(Some(later), 1000, began())), []);
        assert_eq!(correlator.push(at(Some(later), 1001, ended(None))).len(), 1);
        assert_eq!(correlator.unfinished(), 1);
    }

    #[test]
    fn lost_events_mark_their_creation() {
        let lost = Event::NetnsSetupEnded { errno: None, netns: None, lost: true };
        assert!(tell(vec![began(), lost]).events_lost);
        assert!(!ok_creation().events_lost);
    }

    #[test]
    fn a_failure_outlasts_what_went_well() {
        let mut events = vec![began(), failed(0xd20c0)];
        events.extend((0..40).flat_map(|_| [entered(), compacted(1000)]));
        events.push(ended(None));
        let creation = tell(events);
        assert_eq!(creation.outcome(), Outcome::Degraded);
        assert_eq!(creation.stall_ns, 40_000);
    }

    #[test]
    fn the_last_failure_is_kept_among_many() {
        let mut events = vec![began()];
        events.extend((0..100).map(|_| failed(0xd20c0)));
        events.extend([failed(0x40cc0), ended(Some(libc::ENOMEM))]);
        let creation = tell(events);
        assert_eq!(creation.allocations.len(), MAX_DETAILS);
        assert_eq!(creation.allocations_omitted, 101 - MAX_DETAILS as u64);
        assert_eq!(creation.allocations.last().map(|a| a.outcome), Some(AllocationOutcome::Failed));
    }

    #[test]
    fn a_stall_outside_is_told_when_it_is_quiet() {
        let mut correlator = Correlator::default();
        correlator.push(at(None, 0, compacted(3_000_000)));
        assert_eq!(correlator.flush_outside(Some(1_000_000_000)), []);
        let later = 1_000_000_000 + OUTSIDE_QUIET_NS;
        assert_eq!(correlator.flush_outside(Some(later)).len(), 1);
        assert_eq!(correlator.flush_outside(Some(later)), []);
        assert_eq!(incident().allocation.stall_ns, 3_000_000);
    }
}
