//! Limits of cgroups, and the OOM killer.
use super::{allocation::gfp, container::container};
use crate::{
    model::{
        errno,
        event::{self, CgroupPath, LimitKind, OomScope},
        memcg,
    },
    report::line::memcg::{ChargeFailed, ForkRefused, Memcg, OomKill},
};

/// A charge that failed.
pub(super) fn charge(charge: &event::ChargeFailed) -> ChargeFailed {
    let kind = |kind| match kind {
        LimitKind::Memory => "memory".to_owned(),
        LimitKind::Kmem => "kmem".to_owned(),
        LimitKind::MemorySwap => "memory-swap".to_owned(),
    };
    ChargeFailed {
        memcg: charge.memcg.clone(),
        bytes: charge.bytes,
        gfp: charge.gfp.as_ref().map(gfp),
        usage_kib: charge.usage.map(|bytes| bytes / 1024),
        limit_kib: charge.limit.map(|bytes| bytes / 1024),
        limit_kind: charge.limit_kind.map(kind),
        refusals: charge.refusals,
        errno: errno::name(charge.errno),
    }
}

/// An OOM kill.
pub(super) fn oom_kill(kill: &event::OomKill) -> OomKill {
    OomKill {
        pid: kill.pid,
        comm: kill.comm.clone(),
        cgroup: kill.cgroup.as_ref().map(CgroupPath::display),
        container: kill.container.as_deref().map(container),
        order: kill.order,
        gfp: kill.gfp.as_ref().map(gfp),
        scope: match &kill.scope {
            OomScope::Node => Some("node"),
            OomScope::Memcg(_) => Some("memcg"),
            OomScope::Unknown => None,
        },
        memcg: match &kill.scope {
            OomScope::Memcg(path) => path.clone(),
            OomScope::Node | OomScope::Unknown => None,
        },
        page_fault: kill.page_fault,
    }
}

/// A memory cgroup at its limit.
pub(super) fn memcg(state: &memcg::MemcgState) -> Memcg {
    let kib = |bytes: u64| bytes / 1024;
    Memcg {
        path: state.path.clone(),
        usage_kib: state.usage.map(kib),
        limit_kib: state.limit.map(kib),
        kmem_usage_kib: state.kmem_usage.map(kib),
        kmem_limit_kib: state.kmem_limit.map(kib),
        held_kib: state.held.map(kib),
    }
}

/// A fork that was refused.
pub(super) fn fork_refused(refused: &event::ForkRefused) -> ForkRefused {
    ForkRefused {
        cgroup: refused.cgroup.clone(),
        processes: refused.processes,
        limit: refused.limit,
        times: refused.times,
    }
}
