//! Cgroups that were created, renamed or removed, or could not be created.
//!
//! Of the first three only those of the hierarchy that tasks are identified by are events.
use fragwatch_core::model::event::{CgroupPath, CgroupSetup, EventKind, Omitted};
use fragwatch_ebpf::{CGROUP_PATH_LEN, CgroupMade, CgroupRemoved, CgroupRenamed, CgroupSetupEnded};

use crate::live::decode::{cgroup_path, positive, text, victim};

pub(super) fn made(r: &CgroupMade, hierarchy: u32) -> Option<EventKind> {
    (r.hierarchy == hierarchy).then(|| EventKind::CgroupMade { id: r.id, path: path(r) })
}

pub(super) fn renamed(CgroupRenamed(r): &CgroupRenamed, hierarchy: u32) -> Option<EventKind> {
    (r.hierarchy == hierarchy).then(|| EventKind::CgroupRenamed { id: r.id, path: path(r) })
}

pub(super) fn removed(r: &CgroupRemoved, hierarchy: u32) -> Option<EventKind> {
    (r.hierarchy == hierarchy).then_some(EventKind::CgroupRemoved { id: r.id })
}

pub(super) fn setup_ended(r: &CgroupSetupEnded) -> EventKind {
    EventKind::CgroupSetupEnded(CgroupSetup {
        parent: cgroup_path(&r.parent),
        name: text(&r.name),
        errno: positive(r.errno),
        memory_errno: positive(r.memory_errno),
        oom_victim: victim(r.victim),
        lost: r.lost != 0,
        omitted: Omitted { failures: r.omitted, stall_ns: r.omitted_stall_ns },
    })
}

/// Of a path that is too long its end was kept, and the first name in it is only a part of one.
fn path(r: &CgroupMade) -> CgroupPath {
    let truncated = r.len as usize > CGROUP_PATH_LEN;
    let text = text(&r.path);
    let kept = if truncated { text.split_once('/').map_or("", |(_, rest)| rest) } else { &text };
    CgroupPath { truncated, ..CgroupPath::parse(kept) }
}
