//! Limits of cgroups, and the OOM killer.
use super::allocation::gfp;
use crate::{
    model::{
        errno,
        event::{self, LimitKind, OomScope},
    },
    report::line::memcg::{ChargeFailed, ForkRefused, OomKill},
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
        comm: Some(kill.comm.clone()),
        order: kill.order,
        gfp: kill.gfp.as_ref().map(gfp),
        scope: scope(&kill.scope),
        memcg: match &kill.scope {
            OomScope::Memcg(path) => path.clone(),
            OomScope::Node | OomScope::Unknown => None,
        },
        page_fault: false,
    }
}

/// Whose memory ran out; `None` if that was not seen.
pub(super) fn scope(scope: &OomScope) -> Option<&'static str> {
    match scope {
        OomScope::Node => Some("node"),
        OomScope::Memcg(_) => Some("memcg"),
        OomScope::Unknown => None,
    }
}

/// A fork that was refused.
pub(super) fn fork_refused(refused: &event::ForkRefused) -> ForkRefused {
    ForkRefused {
        cgroup: refused.cgroup.clone(),
        processes: refused.processes,
        limit: refused.limit,
        times: None,
    }
}
