//! Events, put together into creations; what is in none is looked at in `outside`.
use std::{collections::HashMap, ops::RangeInclusive};

use super::MAX_OPEN;
use crate::{
    attribution::{candidates, cgroup_path, cgroups::Cgroups},
    correlate::{
        Correlated,
        allocation_tracker::Tracker,
        failed_steps::Waiting,
        kills::Kills,
        outside::{Kill, Outside},
        starts::Starts,
        unfinished,
        victims::Victims,
    },
    model::{
        allocation::Outcome as AllocationOutcome,
        call_site,
        event::{CreationKey, Event, EventKind, Task},
        repeats::{CountedStep, Repeats},
        slab::SlabCache,
        step::{CreationStep, MAX_DETAILS, Namespaces, Outcome, PernetInit, STALL_NS, StepKind},
    },
};

/// Errors that no program ever sees: a signal came first, and the kernel makes the system call
/// again, as another creation. `ERESTARTSYS` to `ERESTART_RESTARTBLOCK` (include/linux/errno.h).
pub const RESTARTS: RangeInclusive<i32> = 512..=516;

/// A creation that is under way.
pub(super) struct Open {
    pub(super) creation: CreationStep,
    pub(super) tracker: Tracker,
}

/// Puts evidence together. It must come in time order per thread.
#[derive(Default)]
pub struct Correlator {
    pub(super) open: HashMap<CreationKey, Open>,
    pub(super) outside: HashMap<u32, Outside>,
    pub(super) starts: Starts,
    pub(super) waiting: Waiting,
    /// Failed steps that were no container's start.
    pub(super) other_steps: u64,
    victims: Victims,
    pub(super) unfinished: unfinished::Watch,
    pub(super) last_kill: Option<Kill>,
    pub(super) kills: Kills,
    pub(super) ended: u64,
    pub(super) dropped: u64,
    pub(super) failures_unobservable: bool,
    /// Creations without trouble are reported too.
    all: bool,
    /// The kernel's page size in bytes.
    pub(super) page_size: u64,
    /// A wait longer than this is trouble; [`STALL_NS`] if not set.
    stall_limit_ns: Option<u64>,
}

impl Correlator {
    /// For a kernel on which failed allocations can't be seen, if `failures_unobservable`; creations without
    /// trouble are reported too, if `all`.
    pub fn new(failures_unobservable: bool, all: bool, page_size: u64) -> Self {
        Self { failures_unobservable, all, page_size, ..Self::default() }
    }

    /// From now on failed allocations can't be seen.
    pub fn lose_sight_of_failures(&mut self) {
        self.failures_unobservable = true;
    }

    /// With another limit than [`STALL_NS`], in nanoseconds: what waited longer for memory stalled.
    #[must_use]
    pub fn stall_limit(self, ns: u64) -> Self {
        Self { stall_limit_ns: Some(ns), ..self }
    }

    pub(super) fn stall_limit_ns(&self) -> u64 {
        self.stall_limit_ns.unwrap_or(STALL_NS)
    }

    /// Takes one piece of evidence; returns the correlated that it ends.
    pub fn push(&mut self, mut event: Event) -> Vec<Correlated> {
        if let EventKind::OomKill(kill) = &mut event.kind {
            kill.cgroup = kill.cgroup_id.and_then(|id| self.starts.cgroups.path(id));
            kill.container = kill.cgroup.as_ref().and_then(cgroup_path::find).map(Box::new);
            self.victims.push(event.time_ns, kill);
        }
        match event.creation {
            Some(key) => self.inside(key, event).into_iter().collect(),
            None => self.outside(event),
        }
    }

    /// Whether an incident outside creations is under way, which time alone may end, or a creation has lost its end.
    pub fn follows_outside(&self) -> bool {
        !self.outside.is_empty()
            || !self.waiting.is_empty()
            || !self.kills.is_empty()
            || self.unfinished.has_superseded()
    }

    /// The node's cgroups.
    pub fn cgroups(&mut self) -> &mut Cgroups {
        &mut self.starts.cgroups
    }

    /// Whether steps that were only counted are taken for parts of containers' starts, by the last of them.
    pub fn is_start(&self, repeats: &Repeats) -> bool {
        let task = Task {
            pid: repeats.pid,
            tid: repeats.pid,
            comm: repeats.comm.clone(),
            cgroup_id: repeats.cgroup_id,
            user: repeats.user,
        };
        match repeats.step {
            CountedStep::Namespaces | CountedStep::UserNamespace => {
                self.starts.is_start(repeats.last_ns, &task)
            }
            CountedStep::Fork => self.starts.of(repeats.last_ns, &task).is_some(),
            CountedStep::Cgroup | CountedStep::Other => true,
        }
    }

    /// Something was lost that may have been about any creation under way.
    pub fn lose(&mut self) {
        for open in self.open.values_mut() {
            open.creation.events_lost = true;
        }
    }

    /// Creations of which there were events and no end.
    pub fn unfinished(&self) -> u64 {
        self.open.len() as u64 + self.dropped
    }

    /// Failed steps, such as forks and mounts, that were no container's start.
    pub fn other_steps(&self) -> u64 {
        self.other_steps
    }

    fn inside(&mut self, key: CreationKey, event: Event) -> Option<Correlated> {
        if let EventKind::BriefEnd { step, errno, namespaces } = event.kind {
            return self.brief_end(key, event, step, errno, namespaces);
        }
        if !self.open.contains_key(&key) {
            self.make_room(key);
            self.open.insert(key, Open::new(key, &event, self.failures_unobservable));
        }
        let open = self.open.get_mut(&key)?;
        let Event { time_ns, task, kind, .. } = event;
        // An interrupt borrows the thread: what it allocates is not the creation's.
        if let EventKind::AllocationFailed { failure, .. } = &kind
            && !call_site::is_creations_own(&failure.stack)
        {
            log::debug!("an interrupt's allocation failed in tid {} while it created", task.tid);
            return None;
        }
        if let Some(allocation) = open.tracker.push(time_ns, &kind) {
            open.creation.keep(allocation);
        }
        let creation = &mut open.creation;
        match kind {
            EventKind::MemcgReclaimEnded { count, reclaimed, stall_ns, memcg, .. } => {
                let reclaims = creation.memcg_reclaims.get_or_insert_default();
                reclaims.memcg = memcg.or(reclaims.memcg.take());
                reclaims.count = reclaims.count.saturating_add(count);
                reclaims.reclaimed = reclaims.reclaimed.saturating_add(reclaimed);
                reclaims.stall_ns = reclaims.stall_ns.saturating_add(stall_ns);
                creation.stall_ns = creation.stall_ns.saturating_add(stall_ns);
            }
            EventKind::SlabCacheCreated { name, size, failed } => {
                if creation.slab_caches.len() == MAX_DETAILS {
                    creation.slab_caches.remove(0);
                }
                let size = Some(size);
                creation.slab_caches.push(SlabCache { name, size, failed, errno: None });
            }
            EventKind::PernetInitFailed { init, errno } => {
                let ended_ns = time_ns;
                if let StepKind::Namespaces(made) = &mut creation.kind {
                    made.pernet_init = Some(PernetInit { ended_ns, init, errno });
                }
            }
            EventKind::NetnsSetupEnded {
                errno,
                netns,
                lost,
                omitted,
                cgroup,
                call_flags,
                namespaces,
                oom_victim,
            } => {
                creation.oom_victim = oom_victim;
                if let StepKind::Namespaces(made) = &mut creation.kind {
                    (made.flags, made.call_flags, made.netns) = (namespaces, call_flags, netns);
                }
                (creation.task, creation.cgroup) = (task, Some(cgroup));
                creation.events_lost |= lost;
                creation.add(omitted);
                return self.end(key, time_ns, errno);
            }
            EventKind::CgroupSetupEnded(setup) => {
                creation.cgroup = Some(setup.path());
                creation.oom_victim = setup.oom_victim;
                creation.events_lost |= setup.lost;
                creation.add(setup.omitted);
                let errno = setup.errno;
                creation.kind = StepKind::Cgroup(setup);
                return self.end(key, time_ns, errno);
            }
            EventKind::NamespaceRefused(kind) => {
                if let StepKind::Namespaces(made) = &mut creation.kind
                    && made.refused.len() < MAX_DETAILS
                {
                    made.refused.push(kind);
                }
            }
            // Taken care of above.
            EventKind::BriefEnd { .. }
            | EventKind::SlowPathEntered { .. }
            | EventKind::StallBegan { .. }
            | EventKind::AllocationFailed { .. }
            | EventKind::CompactionEnded { .. }
            | EventKind::ReclaimEnded { .. }
            // No creation's own.
            | EventKind::ForkRefused(_)
            | EventKind::StepFailed(_)
            | EventKind::CgroupMade { .. }
            | EventKind::CgroupRenamed { .. }
            | EventKind::CgroupRemoved { .. } => {}
            EventKind::ChargeFailed(charge) => {
                if creation.charges.len() == MAX_DETAILS {
                    creation.charges.remove(0);
                }
                creation.charges.push(charge);
            }
            EventKind::OomKill(kill) => {
                if creation.oom_kills.len() < MAX_DETAILS {
                    creation.oom_kills.push(kill);
                }
            }
        }
        None
    }

    /// Ends a creation that returned; `errno` is positive.
    pub(super) fn end(
        &mut self,
        key: CreationKey,
        time_ns: u64,
        errno: Option<i32>,
    ) -> Option<Correlated> {
        let mut creation = self.open.remove(&key)?.into_creation();
        if errno.is_some_and(|errno| RESTARTS.contains(&errno)) {
            return None;
        }
        (creation.ended_ns, creation.errno) = (time_ns, errno);
        if let StepKind::Namespaces(Namespaces { pernet_init: Some(init), .. }) = &mut creation.kind
        {
            init.errno = init.errno.or(errno);
        }
        if errno.is_none() {
            // All went well, so each failed allocation had a fallback, whatever its mask said.
            for allocation in &mut creation.allocations {
                if allocation.outcome == AllocationOutcome::Failed {
                    allocation.outcome = AllocationOutcome::FellBack;
                }
            }
        }
        if errno == Some(libc::EINTR) || errno.is_some() && creation.oom_victim == Some(true) {
            self.victims.blame_killer(&mut creation);
        }
        // Now that all is read that was there before its end.
        if creation.namespaces().is_some()
            && let Some(path) = creation.cgroup.take()
        {
            let cgroups = &mut self.starts.cgroups;
            cgroups.complete(creation.task.cgroup_id, &path);
            creation.cgroup = Some(cgroups.whole(creation.task.cgroup_id, path));
        }
        let before =
            self.starts.parts(creation.began_ns, creation.task.pid, creation.cgroup.as_ref());
        creation.start = before;
        Some(self.finish_step(creation))
    }

    /// Gives a creation its number and remembers it as a part of its container's start.
    pub(super) fn finish_step(&mut self, mut creation: CreationStep) -> Correlated {
        self.ended += 1;
        creation.id = self.ended;
        creation.stall_limit_ns = self.stall_limit_ns();
        creation.container = candidates::certain(&creation);
        if creation.namespaces().is_some() {
            creation.is_start = self.starts.is_start(creation.ended_ns, &creation.task);
        }
        if creation.container.is_none() && (self.all || creation.outcome() != Outcome::Ok) {
            creation.candidates = candidates::candidates(&creation, &self.starts.cgroups);
        }
        self.starts.note_creation(&creation);
        Correlated::CreationStep(Box::new(creation))
    }

    /// A thread is in one creation at a time, so an older one of this thread has ended unseen;
    /// and the table is bounded.
    fn make_room(&mut self, key: CreationKey) {
        let before = self.open.len();
        let superseded: Vec<CreationKey> =
            self.open.keys().filter(|other| other.tid == key.tid).copied().collect();
        for other in superseded {
            if let Some(open) = self.open.remove(&other) {
                let creation = open.into_creation();
                let cgroup = self.starts.cgroups.path(creation.task.cgroup_id);
                let creation = CreationStep { cgroup, ..creation };
                let container = candidates::certain(&creation);
                self.unfinished.supersede(other, CreationStep { container, ..creation });
            }
        }
        if self.open.len() >= MAX_OPEN
            && let Some(&oldest) = self.open.keys().min_by_key(|k| (k.began_ns, k.tid))
        {
            self.open.remove(&oldest);
        }
        self.dropped += (before - self.open.len()) as u64;
    }
}

impl Open {
    pub(super) fn new(key: CreationKey, event: &Event, failures_unobservable: bool) -> Self {
        // Until the event that says what it is.
        let kind = StepKind::Namespaces(Namespaces::default());
        let mut creation = CreationStep::new(kind, event.task.clone(), event.time_ns);
        creation.began_ns = key.began_ns;
        Self { creation, tracker: Tracker::new(failures_unobservable) }
    }

    /// The creation with all that is known of its allocations.
    pub(super) fn into_creation(self) -> CreationStep {
        let Self { mut creation, mut tracker } = self;
        if let Some(allocation) = tracker.finish() {
            creation.keep(allocation);
        }
        creation
    }
}
