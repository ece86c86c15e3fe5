//! Records about cgroups that were made, renamed or removed.
use fragwatch_core::model::event::{CgroupPath, EventKind};
use fragwatch_ebpf::{CGROUP_PATH_LEN, CgroupMade, CgroupRemoved, Head, Kind};

use crate::live::decode::{text, whole};

const MADE: u32 = Kind::CgroupMade as u32;
const RENAMED: u32 = Kind::CgroupRenamed as u32;
const REMOVED: u32 = Kind::CgroupRemoved as u32;

/// The hierarchy that a record of these kinds is about, 0 for v2's.
pub(super) fn hierarchy(kind: u32, record: &[u8]) -> Option<u32> {
    match kind {
        MADE | RENAMED => whole::<CgroupMade>(record).map(|r| r.hierarchy),
        REMOVED => whole::<CgroupRemoved>(record).map(|r| r.hierarchy),
        _ => None,
    }
}

/// Decodes a record of these kinds.
pub(super) fn decode(kind: u32, record: &[u8]) -> Option<(Head, EventKind)> {
    Some(match kind {
        MADE => {
            let r: CgroupMade = whole(record)?;
            (r.head, EventKind::CgroupMade { id: r.id, path: path(&r) })
        }
        RENAMED => {
            let r: CgroupMade = whole(record)?;
            (r.head, EventKind::CgroupRenamed { id: r.id, path: path(&r) })
        }
        REMOVED => {
            let r: CgroupRemoved = whole(record)?;
            (r.head, EventKind::CgroupRemoved { id: r.id })
        }
        _ => return None,
    })
}

/// Of a path that is too long its end was kept, and the first name in it is only a part of one.
fn path(r: &CgroupMade) -> CgroupPath {
    let truncated = r.len as usize > CGROUP_PATH_LEN;
    let text = text(&r.path);
    let kept = if truncated { text.split_once('/').map_or("", |(_, rest)| rest) } else { &text };
    CgroupPath { truncated, ..CgroupPath::parse(kept) }
}
