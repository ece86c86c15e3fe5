//! Steps of a container's start of which only a failure is seen, with what failed in them before: the
//! allocation and the charge, which are outside every creation.
use std::collections::HashMap;

use crate::{
    correlate::{Correlated, Correlator, outside::OUTSIDE_QUIET_NS},
    model::{
        allocation::{Allocation, Outcome},
        call_site,
        creation::Creation,
        event::{ChargeFailed, FailedStep, Task},
        step::{CreationStep, MAX_DETAILS, StepKind},
    },
};

/// Threads with failures that wait for their step's end.
const MAX_WAITING: usize = 256;

/// What failed on threads of a container's start, and waits for the step that fails with it.
#[derive(Default)]
pub(super) struct Waiting {
    threads: HashMap<u32, Failures>,
}

/// What failed on one thread.
struct Failures {
    task: Task,
    /// The last of it.
    time_ns: u64,
    /// The start that it belongs to.
    start: Option<Creation>,
    allocations: Vec<Allocation>,
    charges: Vec<ChargeFailed>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    fn of(&mut self, time_ns: u64, task: Task) -> &mut Failures {
        let new = |task: Task| Failures {
            task,
            time_ns,
            start: None,
            allocations: Vec::new(),
            charges: Vec::new(),
        };
        let failures = self.threads.entry(task.tid).or_insert_with(|| new(task.clone()));
        // The thread's id was taken by another one, or the step has ended well.
        if failures.task.pid != task.pid
            || time_ns.saturating_sub(failures.time_ns) >= OUTSIDE_QUIET_NS
        {
            *failures = new(task);
        }
        failures.time_ns = time_ns;
        failures
    }

    /// Those that were quiet for a while, all of them if `now_ns` is `None`.
    fn take_quiet(&mut self, now_ns: Option<u64>) -> Vec<Failures> {
        let quiet = |failures: &Failures| {
            now_ns.is_none_or(|now| now.saturating_sub(failures.time_ns) >= OUTSIDE_QUIET_NS)
        };
        let mut over: Vec<Failures> =
            self.threads.extract_if(|_, failures| quiet(failures)).map(|(_, f)| f).collect();
        over.sort_by_key(|failures| (failures.time_ns, failures.task.tid));
        over
    }
}

impl Correlator {
    /// Keeps an allocation that failed outside every creation, if it may belong to a container's start: then
    /// its step may fail too. `None` if it does not.
    pub(super) fn keep_failure(
        &mut self,
        time_ns: u64,
        task: &Task,
        allocation: &Allocation,
    ) -> Option<Vec<Correlated>> {
        let interrupts =
            allocation.failure.as_ref().is_some_and(|f| call_site::is_interrupts(&f.stack));
        if allocation.outcome != Outcome::Failed || interrupts {
            return None;
        }
        let start = self.starts.of_failure(time_ns, task)?;
        let ended = self.make_room_for_failures();
        let failures = self.waiting.of(time_ns, task.clone());
        failures.start = Some(start);
        if failures.allocations.len() < MAX_DETAILS {
            failures.allocations.push(allocation.clone());
        }
        Some(ended)
    }

    /// Keeps a charge that was refused outside every creation: the step that fails with it follows at once.
    pub(super) fn keep_charge(
        &mut self,
        time_ns: u64,
        task: Task,
        charge: ChargeFailed,
    ) -> Vec<Correlated> {
        let ended = self.make_room_for_failures();
        let failures = self.waiting.of(time_ns, task);
        if failures.charges.len() < MAX_DETAILS {
            failures.charges.push(charge);
        }
        ended
    }

    /// A step has failed. It is reported if it was a container's start, and only counted else.
    pub(super) fn step_failed(
        &mut self,
        time_ns: u64,
        task: Task,
        failed: FailedStep,
    ) -> Vec<Correlated> {
        let before = self.waiting.threads.remove(&task.tid).filter(|failures| {
            failures.task.pid == task.pid
                && time_ns.saturating_sub(failures.time_ns) < OUTSIDE_QUIET_NS
        });
        let Some(start) = self.starts.of_failure(time_ns, &task) else {
            self.other_steps += 1;
            return Vec::new();
        };
        let (functions, errno) = (failed.step.functions(), failed.errno);
        let mut step = CreationStep::new(StepKind::Failed(failed), task, time_ns);
        step.cgroup = self.starts.cgroups.path(step.task.cgroup_id);
        step.start = Some(start);
        step.errno = Some(errno);
        if let Some(failures) = before {
            let of_step = |a: &Allocation| call_site::goes_through(a.failure.as_ref(), functions);
            failures.allocations.into_iter().filter(of_step).for_each(|a| step.keep(a));
            step.charges = failures.charges;
        }
        vec![self.finish_step(step)]
    }

    /// Failed allocations after which no step failed: what becomes of them is not seen.
    pub(super) fn flush_failures(&mut self, now_ns: Option<u64>) -> Vec<Correlated> {
        let over = self.waiting.take_quiet(now_ns);
        over.into_iter().filter_map(|failures| self.alone(failures)).collect()
    }

    fn alone(&mut self, failures: Failures) -> Option<Correlated> {
        // A refused charge alone is no trouble: a step that failed would have taken it.
        failures.start.as_ref()?;
        let mut step = CreationStep::new(StepKind::Allocation, failures.task, failures.time_ns);
        step.cgroup = self.starts.cgroups.path(step.task.cgroup_id);
        step.start = failures.start;
        failures.allocations.into_iter().for_each(|allocation| step.keep(allocation));
        Some(self.finish_step(step))
    }

    fn make_room_for_failures(&mut self) -> Vec<Correlated> {
        if self.waiting.threads.len() < MAX_WAITING {
            return Vec::new();
        }
        self.flush_failures(None)
    }
}

#[cfg(test)]
mod tests;
