//! Limits of cgroups that refused something.
use fragwatch_core::model::event::{ChargeFailed, EventKind, ForkRefused, LimitKind};
use fragwatch_ebpf::Limit;

use crate::live::decode::cgroup_path;

/// Bytes of a page on x86-64.
const PAGE_SIZE: u64 = 4096;

pub(super) fn charge_failed(r: &fragwatch_ebpf::ChargeFailed) -> EventKind {
    let kind = match Limit::from_number(r.limit) {
        Some(Limit::Memory) => Some(LimitKind::Memory),
        Some(Limit::Kmem) => Some(LimitKind::Kmem),
        Some(Limit::MemorySwap) => Some(LimitKind::MemorySwap),
        Some(Limit::Unknown) | None => None,
    };
    let bytes = |pages: u64| pages.saturating_mul(PAGE_SIZE);
    EventKind::ChargeFailed(ChargeFailed {
        memcg: kind.map(|_| cgroup_path(&r.cgroup).display()),
        limit_kind: kind,
        gfp: None,
        bytes: Some(bytes(r.pages)),
        usage: Some(bytes(r.usage)),
        limit: Some(bytes(r.max)),
        refusals: Some(r.refusals),
        // Every caller on the way turns it into this errno.
        errno: libc::ENOMEM,
    })
}

pub(super) fn fork_refused(r: &fragwatch_ebpf::ForkRefused) -> EventKind {
    let known = r.cgroup.id != 0;
    EventKind::ForkRefused(ForkRefused {
        cgroup: known.then(|| cgroup_path(&r.cgroup).display()),
        processes: known.then_some(r.processes),
        limit: known.then_some(r.limit),
        times: None,
    })
}
