//! Limits on processes as people show them beside a log: what `systemctl status` and `sysctl` print.
use fragwatch_core::model::{incident::Incident, notice::UnitTasks, program_message::StartError};

use crate::assemble::log_position::LogPosition;

/// The status of a unit is shown at most this many lines from the failure.
const MAX_LINES: u64 = 200;

/// What was seen of them so far.
#[derive(Debug, Default)]
pub(super) struct ProcessLimits {
    /// The unit whose status was shown last.
    pub(super) unit: Option<String>,
    tasks: Option<(UnitTasks, LogPosition)>,
    pub(super) pid_max: Option<u64>,
}

impl ProcessLimits {
    /// The tasks of the unit whose status is shown.
    pub(super) fn saw_tasks(&mut self, count: u64, limit: u64, at: &LogPosition) {
        let unit = self.unit.take();
        self.tasks = Some((UnitTasks { unit, count, limit }, at.clone()));
    }

    /// Adds them to an incident in which a process was refused.
    pub(super) fn add_to(&self, incident: &mut Incident, at: &LogPosition) {
        let of_process = |message: &StartError| *message == StartError::Process;
        let refused = incident.fork_refused.is_some()
            || incident.messages.iter().any(|message| of_process(&message.error));
        if !refused {
            return;
        }
        incident.pid_max = self.pid_max;
        let near = |(_, shown): &&(UnitTasks, LogPosition)| {
            shown.same_host(at) && shown.lines_between(at) <= MAX_LINES
        };
        incident.tasks = self.tasks.as_ref().filter(near).map(|(tasks, _)| tasks.clone());
    }
}
