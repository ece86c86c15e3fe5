//! Evidence, put together into creations, and into incidents outside of them.
use std::{
    collections::{HashMap, VecDeque},
    ops::RangeInclusive,
};

use super::{
    Creation, Incident, MAX_DETAILS, PernetInit, STALL_NS, SlabCache, Starts, Step, Story,
};
use crate::{
    allocation::{Allocation, Outcome as AllocationOutcome, Tracker},
    evidence::{CreationKey, Event, Evidence, ForkRefused, NamespaceKind, OomKill, Task},
    site,
};

/// A process may have many killed, one after the other, before it gets its memory: what is further
/// apart has another reason.
const KILLS_APART_NS: u64 = 1_000_000_000;
/// Victims of the OOM killer remembered at a time.
const MAX_VICTIMS: usize = 64;
/// Creations and outside threads followed at a time.
const MAX_OPEN: usize = 4096;
/// An allocation outside a creation is over when its thread has been quiet for this long.
pub(super) const OUTSIDE_QUIET_NS: u64 = 500_000_000;

/// Errors that no program ever sees: a signal came first, and the kernel makes the system call
/// anew, as another creation. `ERESTARTSYS` to `ERESTART_RESTARTBLOCK` (include/linux/errno.h).
const RESTARTS: RangeInclusive<i32> = 512..=516;

/// A kill for a container's start, outside its other steps.
#[derive(Clone, Copy)]
struct Kill {
    pid: u32,
    /// The creation that it is told as, or as a part of.
    creation: u64,
    time_ns: u64,
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
    starts: Starts,
    victims: VecDeque<OomKill>,
    last_kill: Option<Kill>,
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
        if let Event::OomKill(kill) = &evidence.event {
            if self.victims.len() == MAX_VICTIMS {
                self.victims.pop_front();
            }
            self.victims.push_back(kill.clone());
        }
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
        let told = ended.iter_mut().filter_map(Outside::finish);
        told.map(|trouble| self.outside_story(trouble)).collect()
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
            Event::NetnsSetupBegan { cgroup, call_flags, namespaces } => {
                (creation.cgroup, creation.call_flags) = (Some(cgroup), call_flags);
                creation.namespaces = namespaces;
                creation.beginning_seen = true;
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
                creation.netns = netns;
                creation.events_lost |= lost;
                return self.end(key, time_ns, errno);
            }
            Event::CgroupSetupEnded(setup) => {
                creation.step = Step::Cgroup;
                creation.beginning_seen = true;
                creation.cgroup = Some(setup.path());
                creation.events_lost |= setup.lost;
                let errno = setup.errno;
                creation.cgroup_setup = Some(setup);
                return self.end(key, time_ns, errno);
            }
            Event::NamespaceRefused(kind) => {
                if creation.namespaces_refused.len() < MAX_DETAILS {
                    creation.namespaces_refused.push(kind);
                }
            }
            Event::SlowPathEntered { .. }
            | Event::AllocationFailed { .. }
            | Event::CompactionEnded { .. }
            | Event::ReclaimEnded { .. }
            // No creation's own.
            | Event::ForkRefused(_)
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

    /// Ends a creation that returned; `errno` is positive.
    fn end(&mut self, key: CreationKey, time_ns: u64, errno: Option<i32>) -> Option<Story> {
        let Open { mut creation, mut tracker } = self.open.remove(&key)?;
        if errno.is_some_and(|errno| RESTARTS.contains(&errno)) {
            return None;
        }
        if let Some(allocation) = tracker.finish() {
            creation.keep(allocation);
        }
        (creation.ended_ns, creation.errno) = (time_ns, errno);
        if errno.is_none() {
            // All went well, so whoever failed had a fallback, whatever its mask said.
            for allocation in &mut creation.allocations {
                if allocation.outcome == AllocationOutcome::Failed {
                    allocation.outcome = AllocationOutcome::FellBack;
                }
            }
        }
        if errno == Some(libc::EINTR) {
            self.blame_killer(&mut creation);
        }
        let before =
            self.starts.parts(creation.began_ns, creation.task.pid, creation.cgroup.as_ref());
        creation.start = before;
        Some(self.story(creation))
    }

    /// A creation that a signal ended was killed; if the OOM killer did it, for whichever allocation,
    /// that is why it failed.
    fn blame_killer(&mut self, creation: &mut Creation) {
        let of = |kill: &OomKill| kill.pid == Some(creation.task.pid);
        let Some(at) = self.victims.iter().rposition(of) else { return };
        let Some(kill) = self.victims.remove(at) else { return };
        creation.killed = true;
        if !creation.oom_kills.contains(&kill) {
            creation.allocations.extend(Allocation::of_kill(&kill));
            creation.oom_kills.push(kill);
        }
    }

    /// Gives a creation its number and remembers it as a part of its container's start.
    fn story(&mut self, mut creation: Creation) -> Story {
        self.ended += 1;
        creation.id = self.ended;
        self.starts.note_creation(&creation);
        Story::Creation(Box::new(creation))
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
        match event {
            Event::CgroupMade { id, v2, path } => {
                self.starts.note_cgroup(time_ns, v2.then_some(id), path);
                Vec::new()
            }
            Event::NamespaceRefused(kind) => vec![self.namespace_refused(time_ns, task, kind)],
            Event::ForkRefused(refused) => vec![self.fork_refused(time_ns, task, refused)],
            Event::OomKill(kill) => self.oom_kill(time_ns, task, kill),
            event => self.allocation(time_ns, task, &event),
        }
    }

    /// A user namespace, which is made before the others.
    fn namespace_refused(&mut self, time_ns: u64, task: Task, kind: NamespaceKind) -> Story {
        let mut creation = self.of_start(time_ns, task, Step::Namespaces);
        // What the kernel makes of it (kernel/user_namespace.c `create_user_ns`).
        creation.errno = Some(libc::ENOSPC);
        creation.namespaces_refused.push(kind);
        self.story(creation)
    }

    fn fork_refused(&mut self, time_ns: u64, task: Task, refused: ForkRefused) -> Story {
        if self.starts.of(time_ns, &task).is_none() {
            let mut incident = self.incident(time_ns, task);
            incident.fork_refused = Some(refused);
            return Story::Incident(Box::new(incident));
        }
        let mut creation = self.of_start(time_ns, task, Step::Fork);
        creation.errno = Some(libc::EAGAIN);
        creation.fork_refused = Some(refused);
        self.story(creation)
    }

    /// A kill outside every step of a creation: that of a container that is about to start, if it is
    /// the victim or the one that asked.
    fn oom_kill(&mut self, time_ns: u64, task: Task, kill: OomKill) -> Vec<Story> {
        let mut ended = self.allocation(time_ns, task.clone(), &Event::OomKill(kill.clone()));
        let asked = self.outside.remove(&task.tid).and_then(|mut o| o.tracker.finish());
        let pid = kill.pid.unwrap_or(0);
        let victim =
            Task { pid, tid: pid, comm: kill.comm.clone(), cgroup_id: kill.cgroup_id.unwrap_or(0) };
        let killed = self.starts.of(time_ns, &victim).is_some();
        if !killed && self.starts.of(time_ns, &task).is_none() {
            let mut incident = self.incident(time_ns, task);
            incident.allocation = asked;
            incident.oom_kills.push(kill);
            ended.push(Story::Incident(Box::new(incident)));
            return ended;
        }
        let starting = if killed { victim } else { task };
        let mut creation = self.of_start(time_ns, starting, Step::OomKill);
        creation.killed = killed;
        if let Some(asked) = asked {
            creation.keep(asked);
        }
        creation.oom_kills.push(kill);
        let pid = creation.task.pid;
        let before = self.last_kill.filter(|last| {
            last.pid == pid && time_ns.saturating_sub(last.time_ns) < KILLS_APART_NS
        });
        creation.goes_on = before.map(|last| last.creation);
        let story = self.story(creation);
        let creation = before.map_or(self.ended, |last| last.creation);
        self.last_kill = Some(Kill { pid, creation, time_ns });
        ended.push(story);
        ended
    }

    /// A creation of which one moment was seen.
    fn of_start(&self, time_ns: u64, task: Task, step: Step) -> Creation {
        let start = self.starts.of(time_ns, &task);
        let cgroup = self.starts.path(task.cgroup_id).cloned();
        let mut creation = Creation::new(task, time_ns);
        creation.step = step;
        creation.beginning_seen = true;
        creation.cgroup = cgroup;
        creation.start = start;
        creation
    }

    fn incident(&self, time_ns: u64, task: Task) -> Incident {
        let cgroup = self.starts.path(task.cgroup_id).cloned();
        Incident {
            task,
            cgroup,
            time_ns,
            allocation: None,
            oom_kills: Vec::new(),
            fork_refused: None,
        }
    }

    /// An event of an allocation.
    fn allocation(&mut self, time_ns: u64, task: Task, event: &Event) -> Vec<Story> {
        let full = self.outside.len() >= MAX_OPEN && !self.outside.contains_key(&task.tid);
        let mut ended = if full { self.flush_outside(None) } else { Vec::new() };
        let blind = self.blind_to_failures;
        let new = || Outside { tracker: Tracker::new(blind), ..Outside::default() };
        let thread = self.outside.entry(task.tid).or_insert_with(new);
        let mut told: Vec<(Task, u64, Allocation)> = Vec::new();
        if let Some(allocation) = thread.tracker.push(time_ns, event) {
            told.extend(thread.trouble(allocation));
        }
        (thread.task, thread.time_ns) = (Some(task), time_ns);
        if matches!(event, Event::AllocationFailed { .. }) {
            // A failure is the end of it: nothing to wait for.
            told.extend(thread.finish());
        }
        ended.extend(told.into_iter().map(|trouble| self.outside_story(trouble)));
        ended
    }

    fn outside_story(&self, (task, time_ns, allocation): (Task, u64, Allocation)) -> Story {
        let mut incident = self.incident(time_ns, task);
        incident.allocation = Some(allocation);
        Story::Incident(Box::new(incident))
    }
}

impl Open {
    fn new(key: CreationKey, evidence: &Evidence, blind_to_failures: bool) -> Self {
        let mut creation = Creation::new(evidence.task.clone(), evidence.time_ns);
        creation.began_ns = key.began_ns;
        Self { creation, tracker: Tracker::new(blind_to_failures) }
    }
}

impl Outside {
    fn finish(&mut self) -> Option<(Task, u64, Allocation)> {
        let allocation = self.tracker.finish()?;
        self.trouble(allocation)
    }

    /// Only what failed or stalled at an order above 0 is worth telling.
    fn trouble(&self, allocation: Allocation) -> Option<(Task, u64, Allocation)> {
        let failed =
            matches!(allocation.outcome, AllocationOutcome::Failed | AllocationOutcome::FellBack);
        let trouble = failed || allocation.stall_ns > STALL_NS;
        if allocation.order == 0 || !trouble {
            return None;
        }
        Some((self.task.clone()?, self.time_ns, allocation))
    }
}
