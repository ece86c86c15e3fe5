//! Puts together what several logs say of one failure.
use fragwatch_core::model::{
    container::Container,
    incident::{Incident, LogPart, Source},
};

use super::same::is_kernels;

/// Whether the first says more than the second.
pub(super) fn says_more(one: &Incident, other: &Incident) -> bool {
    let amount = |incident: &Incident| {
        let failures = incident.allocations.iter().filter_map(|a| a.failure.as_ref());
        let (zones, frames) = failures.fold((0, 0), |(zones, frames), failure| {
            (zones + failure.zones.len(), frames + failure.stack.len())
        });
        let kills = incident.oom_kills.len();
        (is_kernels(incident), kills, zones, frames, incident.messages.len())
    };
    amount(one) > amount(other)
}

/// Adds what this other log says.
pub(super) fn add(known: &mut Incident, other: Incident, file: &str) {
    let Source::Log(log) = &mut known.source else { return };
    if let Source::Log(also) = other.source.clone() {
        log.also_in.push(LogPart { file: file.to_owned(), lines: also.lines });
        log.also_in.extend(also.also_in);
        log.host = log.host.take().or(also.host);
        if let (Some(time), Some(also)) = (&mut log.time, also.time) {
            time.boot = time.boot.or(also.boot);
            time.wall = time.wall.or(also.wall);
        }
        log.time = log.time.or(also.time);
    }
    // A program's name is no task's.
    if is_kernels(&other) {
        known.pid = known.pid.or(other.pid);
        known.comm = known.comm.take().or(other.comm);
    }
    for message in other.messages {
        if !known.messages.iter().any(|have| have.said == message.said) {
            known.messages.push(message);
        }
    }
    known.container = match (known.container.take(), other.container) {
        (Some(known), Some(other)) => Some(filled(known, other)),
        (known, other) => known.or(other),
    };
    known.kernel = known.kernel.take().or(other.kernel);
    known.errno = known.errno.or(other.errno);
    known.cgroup = known.cgroup.take().or(other.cgroup);
    known.memcg = known.memcg.take().or(other.memcg);
    known.memory = known.memory.take().or(other.memory);
}

/// A container with the names that it lacks, if the other's don't contradict it.
fn filled(mut known: Container, other: Container) -> Container {
    if known.id.is_some() && other.id.is_some() && known.id != other.id {
        return known;
    }
    known.id = known.id.or(other.id);
    known.runtime = known.runtime.or(other.runtime);
    known.pod_uid = known.pod_uid.or(other.pod_uid);
    known.pod = known.pod.or(other.pod);
    known.namespace = known.namespace.or(other.namespace);
    known.name = known.name.or(other.name);
    known
}
