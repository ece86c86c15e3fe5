//! What happens outside the steps of creations: allocations of any thread, and what may belong to the
//! start of a container all the same: kills, refused forks and user namespaces.
use crate::{
    attribution::{cgroup_path, cgroups::Made},
    correlate::{
        Correlated, Correlator, MAX_OPEN, allocation_tracker::Tracker, kills::KILLS_APART_NS,
    },
    model::{
        allocation::{Allocation, Outcome as AllocationOutcome},
        event::{CgroupPath, Event, EventKind, ForkRefused, NamespaceKind, OomKill, Task},
        incident::{Incident, Source},
        step::{CreationStep, Namespaces, StepKind},
    },
};

/// An allocation outside a creation is over when its thread has been quiet for this long.
pub(crate) const OUTSIDE_QUIET_NS: u64 = 500_000_000;

/// A thread's allocations outside creations.
#[derive(Default)]
pub(super) struct Outside {
    task: Option<Task>,
    time_ns: u64,
    tracker: Tracker,
}

/// A kill for a container's start, outside its other steps.
#[derive(Clone, Copy)]
pub(super) struct Kill {
    pid: u32,
    /// The step that it is reported as, or as a part of.
    creation: u64,
    time_ns: u64,
}

impl Correlator {
    /// Ends outside correlated that have been quiet for a while, all of them if `now_ns` is `None`.
    pub fn flush_outside(&mut self, now_ns: Option<u64>) -> Vec<Correlated> {
        let over = |o: &Outside| {
            now_ns.is_none_or(|now| now.saturating_sub(o.time_ns) >= OUTSIDE_QUIET_NS)
        };
        let tids: Vec<u32> =
            self.outside.iter().filter(|(_, o)| over(o)).map(|(&tid, _)| tid).collect();
        let mut ended: Vec<Outside> =
            tids.iter().filter_map(|tid| self.outside.remove(tid)).collect();
        ended.sort_by_key(|o| (o.time_ns, o.task.as_ref().map(|task| task.tid)));
        let limit = self.stall_limit_ns();
        let trouble: Vec<_> =
            ended.iter_mut().filter_map(|outside| outside.finish(limit)).collect();
        let mut ended: Vec<Correlated> =
            trouble.into_iter().flat_map(|trouble| self.outside_trouble(trouble)).collect();
        ended.extend(self.flush_failures(now_ns));
        ended.extend(self.kills.flush(now_ns).into_iter().map(Correlated::from));
        ended
    }

    /// Takes what is in no creation's step.
    pub(super) fn outside(&mut self, event: Event) -> Vec<Correlated> {
        let Event { time_ns, task, kind, .. } = event;
        match kind {
            EventKind::CgroupMade { id, path } => {
                let made = Made { at_ns: time_ns, pid: task.pid };
                self.starts.cgroups.insert(id, &path, Some(made));
                Vec::new()
            }
            EventKind::CgroupRenamed { id, path } => {
                self.starts.cgroups.rename(id, &path);
                Vec::new()
            }
            EventKind::CgroupRemoved { id } => {
                self.starts.cgroups.remove(id);
                Vec::new()
            }
            EventKind::NamespaceRefused(kind) => vec![self.namespace_refused(time_ns, task, kind)],
            EventKind::ForkRefused(refused) => vec![self.fork_refused(time_ns, task, refused)],
            EventKind::OomKill(kill) => self.oom_kill(time_ns, task, kill),
            EventKind::StepFailed(failed) => self.step_failed(time_ns, task, failed),
            EventKind::ChargeFailed(charge) => self.keep_charge(time_ns, task, charge),
            kind => self.allocation(time_ns, task, &kind),
        }
    }

    /// A user namespace, which is made before the others.
    fn namespace_refused(&mut self, time_ns: u64, task: Task, kind: NamespaceKind) -> Correlated {
        let refused = Namespaces { refused: vec![kind], ..Namespaces::default() };
        let mut creation = self.of_start(time_ns, task, StepKind::Namespaces(refused));
        // What the kernel makes of it (kernel/user_namespace.c `create_user_ns`).
        creation.errno = Some(libc::ENOSPC);
        self.finish_step(creation)
    }

    fn fork_refused(&mut self, time_ns: u64, task: Task, refused: ForkRefused) -> Correlated {
        if self.starts.of(time_ns, &task).is_none() {
            let mut incident = self.incident(time_ns, task);
            incident.fork_refused = Some(refused);
            return incident.into();
        }
        // The kernel reads this path from the root, also for a fragwatch in a cgroup namespace.
        if let Some(limited) = refused.cgroup.as_ref().filter(|path| !path.starts_with("/…/")) {
            self.starts.cgroups.complete_below(task.cgroup_id, &CgroupPath::parse(limited));
        }
        let mut creation = self.of_start(time_ns, task, StepKind::Fork(refused));
        creation.errno = Some(libc::EAGAIN);
        self.finish_step(creation)
    }

    /// A kill outside every step of a creation: that of a container that is about to start, if it is
    /// the victim or the one that asked.
    fn oom_kill(&mut self, time_ns: u64, task: Task, kill: OomKill) -> Vec<Correlated> {
        let mut ended = self.allocation(time_ns, task.clone(), &EventKind::OomKill(kill.clone()));
        let asked = self.outside.remove(&task.tid).and_then(|mut o| o.tracker.finish());
        let pid = kill.pid.unwrap_or(0);
        let victim = Task {
            pid,
            tid: pid,
            comm: kill.comm.clone().unwrap_or_default(),
            cgroup_id: kill.cgroup_id.unwrap_or(0),
            user: None,
        };
        let killed = self.starts.of(time_ns, &victim).is_some();
        if !killed && self.starts.of(time_ns, &task).is_none() {
            let mut incident = self.incident(time_ns, task);
            incident.allocations.extend(asked);
            incident.oom_kills.push(kill);
            ended.extend(self.kills.push(incident).into_iter().map(Correlated::from));
            return ended;
        }
        let starting = if killed { victim } else { task };
        let pid = starting.pid;
        let before = self.last_kill.filter(|last| {
            last.pid == pid && time_ns.saturating_sub(last.time_ns) < KILLS_APART_NS
        });
        let continues = before.map(|last| last.creation);
        let mut creation = self.of_start(time_ns, starting, StepKind::OomKill { continues });
        creation.killed = killed;
        if let Some(asked) = asked {
            creation.keep(asked);
        }
        creation.oom_kills.push(kill);
        let step = self.finish_step(creation);
        let creation = before.map_or(self.ended, |last| last.creation);
        self.last_kill = Some(Kill { pid, creation, time_ns });
        ended.push(step);
        ended
    }

    /// A creation of which one moment was seen.
    fn of_start(&self, time_ns: u64, task: Task, kind: StepKind) -> CreationStep {
        let start = self.starts.of(time_ns, &task);
        let cgroup = self.starts.cgroups.path(task.cgroup_id);
        let mut creation = CreationStep::new(kind, task, time_ns);
        creation.cgroup = cgroup;
        creation.start = start;
        creation
    }

    fn incident(&self, time_ns: u64, task: Task) -> Incident {
        let cgroup = self.starts.cgroups.path(task.cgroup_id);
        Incident {
            source: Source::Live { time_ns },
            page_size: self.page_size,
            pid: Some(task.pid),
            tid: Some(task.tid),
            comm: Some(task.comm),
            cgroup_id: Some(task.cgroup_id),
            container: cgroup.as_ref().and_then(cgroup_path::find),
            cgroup,
            ..Incident::default()
        }
    }

    /// An event of an allocation.
    fn allocation(&mut self, time_ns: u64, task: Task, event: &EventKind) -> Vec<Correlated> {
        let full = self.outside.len() >= MAX_OPEN && !self.outside.contains_key(&task.tid);
        let mut ended = if full { self.flush_outside(None) } else { Vec::new() };
        let (blind, limit) = (self.failures_unobservable, self.stall_limit_ns());
        let new = || Outside { tracker: Tracker::new(blind), ..Outside::default() };
        let thread = self.outside.entry(task.tid).or_insert_with(new);
        let mut ended_here: Vec<(Task, u64, Allocation)> = Vec::new();
        if let Some(allocation) = thread.tracker.push(time_ns, event) {
            ended_here.extend(thread.trouble(allocation, limit));
        }
        (thread.task, thread.time_ns) = (Some(task), time_ns);
        if matches!(event, EventKind::AllocationFailed { .. }) {
            // A failure is the end of it: nothing to wait for.
            ended_here.extend(thread.finish(limit));
        }
        ended.extend(ended_here.into_iter().flat_map(|trouble| self.outside_trouble(trouble)));
        ended
    }

    fn outside_trouble(&mut self, trouble: (Task, u64, Allocation)) -> Vec<Correlated> {
        let (task, time_ns, allocation) = trouble;
        if let Some(ended) = self.keep_failure(time_ns, &task, &allocation) {
            return ended;
        }
        // Of order 0 there are too many.
        if allocation.order == 0 {
            return Vec::new();
        }
        vec![self.outside_incident((task, time_ns, allocation))]
    }

    fn outside_incident(&self, (task, time_ns, allocation): (Task, u64, Allocation)) -> Correlated {
        let mut incident = self.incident(time_ns, task);
        incident.allocations.push(allocation);
        incident.into()
    }
}

impl Outside {
    fn finish(&mut self, stall_limit_ns: u64) -> Option<(Task, u64, Allocation)> {
        let allocation = self.tracker.finish()?;
        self.trouble(allocation, stall_limit_ns)
    }

    /// What failed, and what stalled for long.
    fn trouble(
        &self,
        allocation: Allocation,
        stall_limit_ns: u64,
    ) -> Option<(Task, u64, Allocation)> {
        let failed =
            matches!(allocation.outcome, AllocationOutcome::Failed | AllocationOutcome::FellBack);
        let trouble = failed || allocation.stall_ns > stall_limit_ns;
        if !trouble {
            return None;
        }
        Some((self.task.clone()?, self.time_ns, allocation))
    }
}
