//! Incidents, seen live or found in a log.
use jiff::Timestamp;

use super::{
    View,
    allocation::{allocation, gfp},
    container::container,
    memcg::{fork_refused, memcg, oom_kill},
    node::node,
    notice::{excluded, hung, percpu, tasks},
    slab::{slab_cache, slab_failure, vmalloc},
    verdict::verdict,
};
use crate::{
    model::{
        allocation::Outcome as AllocationOutcome,
        errno,
        event::CgroupPath,
        incident::{self, LogSource},
        node::Reading,
        program_message::{ContainerFailure, StartError},
        step::Outcome,
        verdict::Verdict,
    },
    report::line::{
        Line,
        container::Cgroup,
        incident::{GfpReading, Incident, LogPart, LogPlace, Message},
        time::Time,
    },
};

impl View {
    /// An incident that was seen live, at that time.
    pub fn incident(
        &self,
        time: Timestamp,
        incident: &incident::Incident,
        verdict: &Verdict,
        reading: Option<Reading>,
    ) -> Line {
        let line = line(incident, verdict);
        Line::Incident(Box::new(Incident {
            time: Some(time.into()),
            kernel: Some(self.kernel.clone()),
            oom_kills: line.oom_kills.filter(|_| self.sees_oom_kills),
            node: reading.map(|reading| node(reading, self.page_size)),
            ..line
        }))
    }
}

/// An incident of this log; `-` is standard input.
pub fn log_incident(file: &str, incident: &incident::Incident, verdict: &Verdict) -> Line {
    let line = line(incident, verdict);
    let found = incident.log().cloned().unwrap_or_default();
    Line::Incident(Box::new(Incident {
        time: found.time.as_ref().and_then(|time| time.wall).map(Time),
        log: Some(place(file, &found, &incident.messages)),
        ..line
    }))
}

/// What both have.
fn line(i: &incident::Incident, verdict_on_it: &Verdict) -> Incident {
    let cgroup = Cgroup { id: i.cgroup_id, path: i.cgroup.as_ref().map(CgroupPath::display) };
    Incident {
        time: None,
        log: None,
        kernel: i.kernel.as_ref().map(ToString::to_string),
        outcome: outcome(i),
        errno: i.errno.map(errno::name),
        pid: i.pid,
        tid: i.tid,
        comm: i.comm.clone(),
        cgroup: (cgroup.id.is_some() || cgroup.path.is_some()).then_some(cgroup),
        container: i.container.as_ref().map(container),
        allocations: i.allocations.iter().map(|a| allocation(a, i.page_size)).collect(),
        slab_caches: i.slab_caches.iter().map(slab_cache).collect(),
        slab_failures: i.slab_failures.iter().map(slab_failure).collect(),
        vmalloc: i.vmalloc.iter().map(vmalloc).collect(),
        oom_kills: Some(i.oom_kills.iter().map(oom_kill).collect()),
        memcg: i.memcg.as_ref().map(memcg),
        fork_refused: i.fork_refused.as_ref().map(fork_refused),
        tasks: i.tasks.as_ref().map(tasks),
        pid_max: i.pid_max,
        percpu: i.percpu.as_ref().map(percpu),
        hung: i.hung.as_ref().map(hung),
        excluded: i.excluded.as_ref().map(excluded),
        node: None,
        verdict: verdict(verdict_on_it),
    }
}

/// Whether it is a failure, or something that was survived or waited for.
fn outcome(i: &incident::Incident) -> Outcome {
    if i.hung.is_some() && i.messages.is_empty() {
        return Outcome::Stalled;
    }
    if i.allocations.is_empty() || !i.messages.is_empty() {
        // A kill, a refused fork, a container that didn't start.
        return Outcome::Failed;
    }
    let all = |outcomes: &[AllocationOutcome]| {
        i.allocations.iter().all(|a| outcomes.contains(&a.outcome))
    };
    if all(&[AllocationOutcome::Recovered, AllocationOutcome::Unknown]) {
        Outcome::Stalled
    } else if all(&[AllocationOutcome::FellBack]) {
        Outcome::Degraded
    } else {
        Outcome::Failed
    }
}

fn place(file: &str, found: &LogSource, messages: &[ContainerFailure]) -> LogPlace {
    let boot = found.time.and_then(|time| time.boot);
    let readings = found.readings.iter();
    LogPlace {
        file: file.to_owned(),
        lines: [found.lines.0, found.lines.1],
        also_in: found
            .also_in
            .iter()
            .map(|part| LogPart { file: part.file.clone(), lines: part.lines.into() })
            .collect(),
        host: found.host.clone(),
        boot_us: boot.map(|boot| u64::try_from(boot.as_micros()).unwrap_or(u64::MAX)),
        messages: messages.iter().map(message).collect(),
        gfp_readings: readings
            .map(|reading| GfpReading { kernels: reading.releases.clone(), gfp: gfp(&reading.gfp) })
            .collect(),
    }
}

fn message(failure: &ContainerFailure) -> Message {
    Message {
        program: failure.program.clone(),
        errno: failure.errno.map(errno::name),
        reason: match &failure.error {
            StartError::CgroupMkdir(path) => Some(format!("cgroup {path} could not be made")),
            StartError::Namespace => Some("a namespace was refused".to_owned()),
            StartError::Process => Some("a process was refused".to_owned()),
            StartError::MemoryLimit(reason) | StartError::Other(reason) => {
                Some((*reason).to_owned())
            }
            StartError::OtherLimit(limit) => Some(limit.reason().to_owned()),
            StartError::Unsaid => None,
        },
        said: failure.said.clone(),
    }
}
