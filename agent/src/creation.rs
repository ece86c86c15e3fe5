//! Evidence, put together into container creations, and into incidents outside of them.
use std::{collections::HashMap, ops::RangeInclusive};

use crate::{
    allocation::{Allocation, Outcome as AllocationOutcome, Tracker},
    evidence::{CgroupPath, ChargeFailed, CreationKey, Event, Evidence, Failure, OomKill, Task},
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

/// Errors that no program ever sees: a signal came first, and the kernel makes the system call
/// anew, as another creation. `ERESTARTSYS` to `ERESTART_RESTARTBLOCK` (include/linux/errno.h).
const RESTARTS: RangeInclusive<i32> = 512..=516;

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

/// What a creation's charges to a memory cgroup waited for: a hint at a limit, not a proof of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemcgReclaims {
    /// How often the cgroup's memory was reclaimed.
    pub count: u64,
    /// Pages freed in all.
    pub reclaimed: u64,
    /// How long that took in all, in nanoseconds; part of the creation's stall.
    pub stall_ns: u64,
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
    /// Flags of the system call, where this is the whole call and not the namespace's setup alone.
    pub call_flags: Option<u64>,
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
    /// Reclaim of a memory cgroup's memory for its charges; `None` if there was none.
    pub memcg_reclaims: Option<MemcgReclaims>,
    /// Slab caches asked for, in time order.
    pub slab_caches: Vec<SlabCache>,
    /// The subsystem that failed.
    pub pernet_init: Option<PernetInit>,
    /// Charges to a memory cgroup that failed, in time order.
    pub charges: Vec<ChargeFailed>,
    /// Processes that were killed for its allocations, in time order.
    pub oom_kills: Vec<OomKill>,
    /// Events were lost while it was under way: something may be missing.
    pub events_lost: bool,
}

impl Creation {
    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        let failure = |a: &Allocation| {
            matches!(a.outcome, AllocationOutcome::Failed | AllocationOutcome::FellBack)
        };
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
        // The kernel side records the first of many failures with a fallback in detail, the others
        // for their count.
        let fell_back = |a: &Allocation| a.outcome == AllocationOutcome::FellBack;
        let bare = |f: &Failure| f.stack.is_empty() && f.zones.is_empty();
        if fell_back(&allocation)
            && allocation.failure.as_ref().is_some_and(bare)
            && self.allocations.iter().any(fell_back)
        {
            self.allocations_omitted += 1;
            return;
        }
        if self.allocations.len() == MAX_DETAILS {
            // The last failures decide: what went well goes first, then what came first.
            let spare = |outcome| self.allocations.iter().position(|a| a.outcome == outcome);
            let at = spare(AllocationOutcome::Recovered)
                .or_else(|| spare(AllocationOutcome::FellBack))
                .or_else(|| spare(AllocationOutcome::Unknown))
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
    /// Its cgroup, if that is known.
    pub cgroup: Option<CgroupPath>,
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
    blind_to_failures: bool,
}

impl Correlator {
    /// For a kernel on which failed allocations can't be seen, if `blind_to_failures`.
    pub fn new(blind_to_failures: bool) -> Self {
        Self { blind_to_failures, ..Self::default() }
    }

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
        ended.sort_by_key(|o| (o.time_ns, o.task.as_ref().map(|task| task.tid)));
        ended.iter_mut().filter_map(Outside::finish).collect()
    }

    /// Whether a thread's story outside creations is under way, which time alone may end.
    pub fn follows_outside(&self) -> bool {
        !self.outside.is_empty()
    }

    /// Something was lost that may have been about any creation under way.
    pub fn lose(&mut self) {
        for open in self.open.values_mut() {
            open.creation.events_lost = true;
        }
    }

    /// Creations that began and did not end.
    pub fn unfinished(&self) -> u64 {
        self.open.len() as u64 + self.dropped
    }

    fn inside(&mut self, key: CreationKey, evidence: Evidence) -> Option<Story> {
        if !self.open.contains_key(&key) {
            self.make_room(key);
            self.open.insert(key, Open::new(key, &evidence, self.blind_to_failures));
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
            Event::NetnsSetupBegan { cgroup, call_flags } => {
                (creation.cgroup, creation.call_flags) = (Some(cgroup), call_flags);
            }
            Event::MemcgReclaimEnded { reclaimed, stall_ns, .. } => {
                let reclaims = creation.memcg_reclaims.get_or_insert_default();
                reclaims.count += 1;
                reclaims.reclaimed = reclaims.reclaimed.saturating_add(reclaimed);
                reclaims.stall_ns = reclaims.stall_ns.saturating_add(stall_ns);
                creation.stall_ns = creation.stall_ns.saturating_add(stall_ns);
            }
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
                if errno.is_some_and(|errno| RESTARTS.contains(&errno)) {
                    return None;
                }
                if let Some(allocation) = tracker.finish() {
                    creation.keep(allocation);
                }
                self.ended += 1;
                creation.id = self.ended;
                creation.ended_ns = time_ns;
                (creation.errno, creation.netns) = (errno, netns);
                creation.events_lost |= lost;
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
            | Event::ReclaimEnded { .. }
            // No creation's: it is the node's.
            | Event::CgroupMade { .. } => {}
            Event::ChargeFailed(charge) => {
                if creation.charges.len() == MAX_DETAILS {
                    creation.charges.remove(0);
                }
                creation.charges.push(charge);
            }
            Event::OomKill(kill) => {
                if creation.oom_kills.len() < MAX_DETAILS {
                    creation.oom_kills.push(kill);
                }
            }
        }
        None
    }

    /// A thread is in one creation at a time, so an older one of this thread has ended unseen;
    /// and the table is bounded.
    fn make_room(&mut self, key: CreationKey) {
        let before = self.open.len();
        self.open.retain(|other, _| other.tid != key.tid);
        if self.open.len() >= MAX_OPEN
            && let Some(&oldest) = self.open.keys().min_by_key(|k| (k.began_ns, k.tid))
        {
            self.open.remove(&oldest);
        }
        self.dropped += (before - self.open.len()) as u64;
    }

    fn outside(&mut self, evidence: Evidence) -> Vec<Story> {
        let Evidence { time_ns, task, event, .. } = evidence;
        let full = self.outside.len() >= MAX_OPEN && !self.outside.contains_key(&task.tid);
        let mut ended = if full { self.flush_outside(None) } else { Vec::new() };
        let blind = self.blind_to_failures;
        let new = || Outside { tracker: Tracker::new(blind), ..Outside::default() };
        let thread = self.outside.entry(task.tid).or_insert_with(new);
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
    fn new(key: CreationKey, evidence: &Evidence, blind_to_failures: bool) -> Self {
        let creation = Creation {
            id: 0,
            task: evidence.task.clone(),
            cgroup: None,
            call_flags: None,
            began_ns: key.began_ns,
            ended_ns: evidence.time_ns,
            errno: None,
            netns: None,
            allocations: Vec::new(),
            allocations_omitted: 0,
            stall_ns: 0,
            memcg_reclaims: None,
            slab_caches: Vec::new(),
            pernet_init: None,
            charges: Vec::new(),
            oom_kills: Vec::new(),
            events_lost: false,
        };
        Self { creation, tracker: Tracker::new(blind_to_failures) }
    }
}

impl Outside {
    fn finish(&mut self) -> Option<Story> {
        let allocation = self.tracker.finish()?;
        self.story(allocation)
    }

    /// Only what failed or stalled at an order above 0 is worth telling.
    fn story(&self, allocation: Allocation) -> Option<Story> {
        let failed =
            matches!(allocation.outcome, AllocationOutcome::Failed | AllocationOutcome::FellBack);
        let trouble = failed || allocation.stall_ns > STALL_NS;
        if allocation.order == 0 || !trouble {
            return None;
        }
        let task = self.task.clone()?;
        Some(Story::Incident(Box::new(Incident {
            task,
            cgroup: None,
            time_ns: self.time_ns,
            allocation,
        })))
    }
}

#[cfg(test)]
pub(crate) mod tests;
