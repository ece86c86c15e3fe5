//! Incidents that were found in a log.
use super::{
    allocation::{allocation, gfp},
    memcg::{oom_kill, scope},
    slab::{slab_failure, vmalloc},
    verdict::verdict,
};
use crate::{
    diagnose::Evidence,
    model::{
        allocation::Outcome as AllocationOutcome,
        errno,
        event::OomScope,
        log_incident::{
            CacheNotCreated, ContainerFailure, ForkRefused, LogContainer, LogIncident, MemcgState,
            StartError,
        },
        step::Outcome,
        verdict::Verdict,
    },
    report::line::{
        Line,
        container::{Cgroup, Container},
        incident::{GfpReading, Incident, LogPlace, Message},
        memcg::{self, Memcg, OomKill},
        slab::SlabCache,
        time::Time,
    },
};

/// An incident of this log; `-` is standard input.
pub fn log_incident(file: &str, i: &LogIncident, verdict_on_it: &Verdict) -> Line {
    Line::Incident(Box::new(Incident {
        time: i.time.as_ref().and_then(|time| time.wall).map(Time),
        log: Some(LogPlace {
            file: file.to_owned(),
            lines: [i.lines.0, i.lines.1],
            host: i.host.clone(),
            boot_us: i
                .time
                .and_then(|time| time.boot)
                .map(|boot| u64::try_from(boot.as_micros()).unwrap_or(u64::MAX)),
            messages: i.containers.iter().map(message).collect(),
            gfp_readings: i
                .readings
                .iter()
                .map(|(kernels, mask)| GfpReading { kernels: kernels.clone(), gfp: gfp(mask) })
                .collect(),
        }),
        kernel: i.kernel.clone(),
        outcome: outcome(i),
        errno: Evidence::log(i).errno.map(errno::name),
        pid: i.pid,
        tid: None,
        comm: i.comm.clone(),
        cgroup: i.cgroup.as_ref().map(|path| Cgroup { id: None, path: Some(path.clone()) }),
        container: i.container().map(container),
        allocations: i.allocations.iter().map(|a| allocation(a, i.page_size)).collect(),
        slab_caches: i.slab_caches.iter().map(slab_cache).collect(),
        slab_failures: i.slab_failures.iter().map(slab_failure).collect(),
        vmalloc: i.vmalloc.iter().map(vmalloc).collect(),
        oom_kills: Some(oom_kills(i)),
        memcg: i.memcg.as_ref().map(memcg),
        fork_refused: i.fork_refused.as_ref().map(fork_refused),
        // A log is of another time.
        node: None,
        verdict: verdict(verdict_on_it),
    }))
}

/// Whether it is a failure, or something that was survived or waited for.
pub fn outcome(i: &LogIncident) -> Outcome {
    let all =
        |outcome| !i.allocations.is_empty() && i.allocations.iter().all(|a| a.outcome == outcome);
    if all(AllocationOutcome::Recovered) && i.containers.is_empty() {
        Outcome::Stalled
    } else if all(AllocationOutcome::FellBack) && i.containers.is_empty() {
        Outcome::Degraded
    } else {
        Outcome::Failed
    }
}

/// Its kills; the call alone if the log shows no victim.
fn oom_kills(i: &LogIncident) -> Vec<OomKill> {
    let mut kills: Vec<OomKill> = i.oom_kills.iter().map(oom_kill).collect();
    let Some(call) = &i.oom else { return kills };
    if kills.is_empty() {
        kills.push(OomKill {
            pid: None,
            comm: None,
            order: call.order,
            gfp: None,
            scope: scope(&call.scope),
            memcg: match &call.scope {
                OomScope::Memcg(path) => path.clone(),
                OomScope::Node | OomScope::Unknown => None,
            },
            page_fault: false,
        });
    }
    kills.iter_mut().for_each(|kill| kill.page_fault = call.page_fault);
    kills
}

fn container(found: LogContainer) -> Container {
    Container {
        runtime: found.runtime,
        id: found.id,
        pod_uid: found.pod_uid,
        pod: found.pod,
        namespace: found.namespace,
        name: None,
        named_by: None,
    }
}

fn slab_cache(cache: &CacheNotCreated) -> SlabCache {
    SlabCache {
        name: cache.name.clone(),
        size: None,
        errno: cache.errno.map(errno::name),
        failed: true,
    }
}

fn memcg(memcg: &MemcgState) -> Memcg {
    let kib = |bytes: u64| bytes / 1024;
    Memcg {
        path: memcg.path.clone(),
        usage_kib: memcg.usage.map(kib),
        limit_kib: memcg.limit.map(kib),
        kmem_usage_kib: memcg.kmem_usage.map(kib),
        kmem_limit_kib: memcg.kmem_limit.map(kib),
        held_kib: memcg.held.map(kib),
    }
}

fn fork_refused(refused: &ForkRefused) -> memcg::ForkRefused {
    memcg::ForkRefused {
        cgroup: Some(refused.cgroup.clone()),
        processes: None,
        limit: None,
        times: Some(refused.times),
    }
}

fn message(failure: &ContainerFailure) -> Message {
    Message {
        program: failure.program.clone(),
        errno: failure.errno.map(errno::name),
        reason: reason(&failure.error),
        said: failure.said.clone(),
    }
}

fn reason(error: &StartError) -> Option<String> {
    match error {
        StartError::CgroupMkdir(path) => Some(format!("cgroup {path} could not be made")),
        StartError::Namespace => Some("a namespace was refused".to_owned()),
        StartError::Process => Some("a process was refused".to_owned()),
        StartError::Other(reason) => Some((*reason).to_owned()),
        StartError::Unsaid => None,
    }
}
