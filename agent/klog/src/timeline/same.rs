//! Whether incidents of two logs are the same failure.
use std::time::Duration;

use fragwatch_core::model::{
    event::CgroupPath,
    incident::Incident,
    program_message::ContainerFailure,
    slab::{SlabCache, SlabFailed},
};

use super::{JOIN_GAP, SAME_MOMENT};
use crate::assemble::{
    named,
    runtime::{self, Report},
};

/// Whether the kernel reports it, and not programs alone.
pub(super) fn is_kernels(i: &Incident) -> bool {
    let vectors = i.allocations.len() + i.vmalloc.len() + i.slab_failures.len();
    vectors + i.slab_caches.len() + i.oom_kills.len() != 0
        || i.fork_refused.is_some()
        || i.percpu.is_some()
        || i.hung.is_some()
}

/// Whether both are one failure; `apart` is how far they are apart in time, if that is known.
pub(super) fn is_same(one: &Incident, other: &Incident, apart: Option<Duration>) -> bool {
    if !of_one_host(one, other) || is_kernels(one) != is_kernels(other) {
        return false;
    }
    if is_kernels(one) { same_report(one, other, apart) } else { same_start(one, other, apart) }
}

/// What two reports have in common.
#[derive(Default)]
struct Comparison {
    differs: bool,
    /// What distinguishes one failure from others like it.
    equal: u32,
}

impl Comparison {
    /// Compares what both reports may have.
    fn compare<T: PartialEq>(&mut self, one: Option<T>, other: Option<T>) {
        if let (Some(one), Some(other)) = (one, other) {
            if one == other {
                self.equal += 1;
            } else {
                self.differs = true;
            }
        }
    }

    /// Compares what says of what kind a report is.
    fn kind<T: PartialEq>(&mut self, one: &T, other: &T) {
        self.differs |= one != other;
    }
}

fn same_report(one: &Incident, other: &Incident, apart: Option<Duration>) -> bool {
    let mut all = Comparison::default();
    let kind = |i: &Incident| {
        (
            !i.oom_kills.is_empty(),
            !i.vmalloc.is_empty(),
            i.fork_refused.is_some(),
            i.percpu.is_some(),
            i.hung.is_some(),
            i.allocations.last().map(|a| (a.order, a.outcome)),
        )
    };
    all.kind(&kind(one), &kind(other));
    all.compare(one.pid, other.pid);
    all.compare(one.comm.as_ref(), other.comm.as_ref());
    all.compare(free(one), free(other));
    all.compare(victims(one), victims(other));
    let path = |i: &Incident| i.memcg.as_ref()?.path.clone();
    all.compare(path(one), path(other));
    let refused = |i: &Incident| i.fork_refused.as_ref()?.cgroup.clone();
    all.compare(refused(one), refused(other));
    let caches = |i: &Incident| names(i.slab_caches.iter().map(|cache: &SlabCache| &cache.name));
    all.compare(caches(one), caches(other));
    let refilled = |i: &Incident| {
        names(i.slab_failures.iter().filter_map(|failed: &SlabFailed| failed.cache.as_ref()))
    };
    all.compare(refilled(one), refilled(other));
    let bytes = |i: &Incident| names(i.vmalloc.iter().map(|failed| &failed.bytes));
    all.compare(bytes(one), bytes(other));
    let boot = |i: &Incident| i.log()?.time?.boot;
    let since_boot = boot(one).zip(boot(other)).map(|(one, other)| one.abs_diff(other));
    if let Some(apart) = apart.or(since_boot) {
        return apart <= SAME_MOMENT && !all.differs && all.equal >= 1;
    }
    // Free memory and the process don't come together like that again.
    let certain = (free(one).is_some() || victims(one).is_some()) && one.pid.is_some();
    certain && !all.differs && all.equal >= 3
}

/// The free pages of the zones, as an allocation saw them.
fn free(i: &Incident) -> Option<Vec<u64>> {
    let failures = i.allocations.iter().filter_map(|a| a.failure.as_ref());
    names(failures.flat_map(|failure| &failure.zones).map(|zone| &zone.free))
}

fn victims(i: &Incident) -> Option<Vec<u32>> {
    names(i.oom_kills.iter().filter_map(|kill| kill.pid.as_ref()))
}

fn names<'a, T: Clone + 'a>(all: impl Iterator<Item = &'a T>) -> Option<Vec<T>> {
    let all: Vec<T> = all.cloned().collect();
    (!all.is_empty()).then_some(all)
}

/// Whether programs report the same start.
fn same_start(one: &Incident, other: &Incident, apart: Option<Duration>) -> bool {
    let (Some(first), Some(second)) = (one.messages.first(), other.messages.first()) else {
        return false;
    };
    let both = |field: fn(&ContainerFailure) -> Option<&String>| {
        field(first).is_some() && field(first) == field(second)
    };
    let named = both(|failure| failure.container.as_ref())
        || both(|failure| failure.pod_uid.as_ref())
        || both(|failure| failure.pod.as_ref());
    let (close, said) = (apart.is_some_and(|apart| apart <= JOIN_GAP), first.said == second.said);
    runtime::same(first, second) && (close && (named || said) || apart.is_none() && named && said)
}

/// Whether a container can have failed of what the kernel reports, given that they are close.
pub(super) fn joins(report: &Incident, program: &Incident) -> bool {
    let cgroups = [
        report.cgroup.as_ref().map(CgroupPath::display),
        report.memcg.as_ref().and_then(|memcg| memcg.path.clone()),
        report.fork_refused.as_ref().and_then(|refused| refused.cgroup.clone()),
    ];
    let caches: Vec<&String> =
        report.slab_failures.iter().filter_map(|failed| failed.cache.as_ref()).collect();
    let names = |id: &str| {
        cgroups.iter().flatten().any(|path| named::is_named_in(id, path))
            || caches.iter().any(|cache| named::is_named_in(id, cache))
    };
    let failures = || report.allocations.iter().filter_map(|a| a.failure.as_ref());
    let frames = || failures().flat_map(|failure| &failure.stack);
    let report_of_kernel = Report {
        comm: report.comm.as_deref(),
        names: &names,
        calls: &|function| frames().any(|frame| frame.is_in(function)),
        refuses_forks: report.fork_refused.is_some(),
        of_slab: !report.slab_failures.is_empty(),
    };
    of_one_host(report, program)
        && program.messages.iter().any(|failure| runtime::can_be_of(&report_of_kernel, failure))
}

/// Whether nothing says that they are of two machines. Some logs have a host's name with its domain.
fn of_one_host(one: &Incident, other: &Incident) -> bool {
    let host = |i: &Incident| {
        let host = i.log()?.host.clone()?;
        Some(host.split('.').next().unwrap_or_default().to_owned())
    };
    match (host(one), host(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}
