//! What the kernel prints into a log of failures that no other line describes.
use crate::{
    model::notice,
    report::line::notice::{ExcludedZones, HungTask, PercpuFailure, UnitTasks},
};

/// The per-CPU allocator found no room.
pub(super) fn percpu(failed: &notice::PercpuFailed) -> PercpuFailure {
    PercpuFailure {
        bytes: failed.bytes,
        atomic: failed.atomic,
        reason: failed.reason.clone(),
        lacks_pages: failed.lacks_pages(),
    }
}

/// A task that hangs.
pub(super) fn hung(hung: &notice::HungTask) -> HungTask {
    HungTask { seconds: hung.seconds, waits_in: hung.waits_in }
}

/// Free memory that an allocation was kept from.
pub(super) fn excluded(zones: &notice::ExcludedZones) -> ExcludedZones {
    ExcludedZones {
        nodes: zones.nodes.clone(),
        none_in_reach: zones.none_in_reach,
        free_kib: zones.free / 1024,
        zone: zones.zone.clone(),
    }
}

/// Tasks of a unit.
pub(super) fn tasks(tasks: &notice::UnitTasks) -> UnitTasks {
    UnitTasks { unit: tasks.unit.clone(), count: tasks.count, limit: tasks.limit }
}
