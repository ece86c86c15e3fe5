//! Limits on processes as people show them beside a log: what `systemctl status` and `sysctl` print.
use std::collections::HashMap;

use fragwatch_core::model::{incident::Incident, notice::UnitTasks, program_message::StartError};

use crate::assemble::log_position::{LogPosition, Machine};

/// The status of a unit is shown at most this many lines from the failure.
const MAX_LINES: u64 = 200;

/// Machines of which they are remembered.
const MAX_MACHINES: usize = 64;

/// What was seen of them so far.
#[derive(Debug, Default)]
pub(super) struct ProcessLimits {
    machines: HashMap<Machine, Limits>,
}

/// What was seen on one machine.
#[derive(Debug, Default)]
struct Limits {
    /// The unit whose status was shown last.
    unit: Option<String>,
    tasks: Option<(UnitTasks, LogPosition)>,
    pid_max: Option<(u64, LogPosition)>,
}

impl ProcessLimits {
    fn of(&mut self, at: &LogPosition) -> &mut Limits {
        let machine = at.machine();
        if self.machines.len() >= MAX_MACHINES && !self.machines.contains_key(&machine) {
            self.machines.clear();
        }
        self.machines.entry(machine).or_default()
    }

    /// The status of a unit begins.
    pub(super) fn saw_unit(&mut self, unit: String, at: &LogPosition) {
        self.of(at).unit = Some(unit);
    }

    /// The tasks of the unit whose status is shown.
    pub(super) fn saw_tasks(&mut self, count: u64, limit: u64, at: &LogPosition) {
        let limits = self.of(at);
        let unit = limits.unit.take();
        limits.tasks = Some((UnitTasks { unit, count, limit }, at.clone()));
    }

    /// The value of `kernel.pid_max`.
    pub(super) fn saw_pid_max(&mut self, pid_max: u64, at: &LogPosition) {
        self.of(at).pid_max = Some((pid_max, at.clone()));
    }

    /// Adds them to an incident in which a process was refused.
    pub(super) fn add_to(&self, incident: &mut Incident, at: &LogPosition) {
        let of_process = |message: &StartError| *message == StartError::Process;
        let refused = incident.fork_refused.is_some()
            || incident.messages.iter().any(|message| of_process(&message.error));
        if !refused {
            return;
        }
        let pid_max = self.machines.values().filter_map(|limits| limits.pid_max.as_ref());
        incident.pid_max =
            pid_max.filter(|(_, shown)| shown.same_host(at)).map(|(pid_max, _)| *pid_max).max();
        let near = |(_, shown): &&(UnitTasks, LogPosition)| {
            shown.same_host(at) && shown.lines_between(at) <= MAX_LINES
        };
        let tasks = self.machines.values().filter_map(|limits| limits.tasks.as_ref()).filter(near);
        let nearest = tasks.min_by_key(|(_, shown)| (shown.lines_between(at), shown.first));
        incident.tasks = nearest.map(|(tasks, _)| tasks.clone());
    }
}
