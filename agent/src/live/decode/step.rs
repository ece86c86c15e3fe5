//! Records about a step of a container's start as a whole.
use fragwatch_core::model::event::{CgroupSetup, EventKind, ForkRefused, NamespaceKind};
use fragwatch_ebpf::{CgroupSetupEnded, Head, Kind, NamespaceRefused};

use crate::live::decode::{cgroup_path, positive, text, whole};

/// Decodes a record of these kinds.
pub(super) fn decode(kind: u32, record: &[u8]) -> Option<(Head, EventKind)> {
    const NAMESPACE: u32 = Kind::NamespaceRefused as u32;
    const CGROUP_SETUP: u32 = Kind::CgroupSetupEnded as u32;
    const FORK: u32 = Kind::ForkRefused as u32;
    Some(match kind {
        NAMESPACE => {
            let r: NamespaceRefused = whole(record)?;
            (r.head, EventKind::NamespaceRefused(NamespaceKind::from_number(r.kind)))
        }
        CGROUP_SETUP => {
            let r: CgroupSetupEnded = whole(record)?;
            let setup = CgroupSetup {
                parent: cgroup_path(&r.parent),
                name: text(&r.name),
                errno: positive(r.errno),
                memory_errno: positive(r.memory_errno),
                lost: r.lost != 0,
            };
            (r.head, EventKind::CgroupSetupEnded(setup))
        }
        FORK => {
            let r: fragwatch_ebpf::ForkRefused = whole(record)?;
            let known = r.cgroup.id != 0;
            let refused = ForkRefused {
                cgroup: known.then(|| cgroup_path(&r.cgroup).display()),
                processes: known.then_some(r.processes),
                limit: known.then_some(r.limit),
                times: None,
            };
            (r.head, EventKind::ForkRefused(refused))
        }
        _ => return None,
    })
}
