//! Records from the kernel programs, turned into events.
mod cgroup_event;
mod failure;
mod limit;
mod step;

use std::collections::HashMap;

use bytes::Bytes;
use fragwatch_core::model::{
    event::{
        CgroupPath, CompactResult, CreationKey, Event, EventKind, NamespaceKind, Omitted, Task,
    },
    frame::Frame,
    gfp::GfpNames,
    zone::Zone,
};
use fragwatch_ebpf::{AnyRecord, Head, StallBegan, Step, UNKNOWN_USER, Victim};

use crate::kernel::symbols::Symbols;

/// A record that is not of the contract's shape: agent and programs are not of one build.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the kernel side sent a record of kind {kind} with {len} bytes, which does not fit")]
pub struct DecodeError {
    /// Its first word, 0 if it is shorter than that.
    pub kind: u32,
    /// Its length in bytes.
    pub len: usize,
}

/// What turns numbers into names.
#[derive(Default)]
pub struct Decoder {
    /// This kernel's gfp bits.
    pub gfp: GfpNames,
    /// Names of this kernel's addresses.
    pub symbols: Symbols,
    /// The tasks' hierarchy of cgroups; see [`Hierarchy::id`](crate::host::hierarchy::Hierarchy::id).
    pub hierarchy: u32,
    /// Zones whose failure has not come yet, by thread, with the failure's time.
    pub zones: HashMap<u32, (u64, Vec<Zone>)>,
}

impl Decoder {
    /// Decodes one record. `None` if it is only a part of an event, whose last record is still to
    /// come, or about a cgroup of a hierarchy that tasks are not identified by.
    pub fn decode(&mut self, record: &Bytes) -> Result<Option<Event>, DecodeError> {
        let any = AnyRecord::read(record).ok_or_else(|| DecodeError {
            kind: record.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word)),
            len: record.len(),
        })?;
        Ok(self.event(&any).map(|(head, kind)| Event {
            time_ns: head.time_ns,
            creation: (head.creation_ns != 0)
                .then_some(CreationKey { began_ns: head.creation_ns, tid: head.tid }),
            task: Task {
                pid: head.tgid,
                tid: head.tid,
                comm: text(&head.comm),
                cgroup_id: head.cgroup_id,
                user: (head.user != UNKNOWN_USER).then_some(head.user),
            },
            kind,
        }))
    }

    /// What a record says, by its kind; `None` as in [`Decoder::decode`].
    fn event(&mut self, record: &AnyRecord) -> Option<(Head, EventKind)> {
        Some(match record {
            AnyRecord::NetnsSetupEnded(r) => {
                // Of a hierarchy of its own, the cgroup's id is another one too.
                let cgroup_id = if r.cgroup.id == 0 { r.head.cgroup_id } else { r.cgroup.id };
                let ended = EventKind::NetnsSetupEnded {
                    errno: positive(r.errno),
                    netns: (r.netns != 0).then_some(r.netns),
                    lost: r.lost != 0,
                    omitted: Omitted { failures: r.omitted, stall_ns: r.omitted_stall_ns },
                    cgroup: cgroup_path(&r.cgroup),
                    call_flags: (r.call_flags != 0).then_some(r.call_flags),
                    namespaces: r.namespaces,
                    oom_victim: victim(r.victim),
                };
                (Head { cgroup_id, ..r.head }, ended)
            }
            AnyRecord::SlowPathEntered(r) => {
                (r.head, EventKind::SlowPathEntered { gfp: self.gfp.decode(r.gfp), order: r.order })
            }
            AnyRecord::ZoneRead(r) => {
                self.keep_zone(r);
                return None;
            }
            AnyRecord::AllocationFailed(r) => {
                let (gfp, order) = (self.gfp.decode(r.gfp), r.order);
                (r.head, EventKind::AllocationFailed { gfp, order, failure: self.failure(r) })
            }
            AnyRecord::CompactionEnded(r) => {
                let (gfp, order, stall_ns) = (self.gfp.decode(r.gfp), r.order, r.stall_ns);
                let result = CompactResult::from_number(r.result);
                (r.head, EventKind::CompactionEnded { gfp, order, result, stall_ns })
            }
            AnyRecord::ReclaimEnded(r) => {
                let (gfp, order) = (self.gfp.decode(r.gfp), r.order);
                let (reclaimed, stall_ns) = (r.reclaimed, r.stall_ns);
                (r.head, EventKind::ReclaimEnded { gfp, order, reclaimed, stall_ns })
            }
            AnyRecord::MemcgReclaimEnded(r) => {
                let (count, reclaimed, stall_ns) = (r.count, r.reclaimed, r.stall_ns);
                let memcg = (r.cgroup.id != 0).then(|| cgroup_path(&r.cgroup).display());
                (r.head, EventKind::MemcgReclaimEnded { count, reclaimed, stall_ns, memcg })
            }
            AnyRecord::StallBegan(StallBegan(r)) => {
                let (gfp, order) = (self.gfp.decode(r.gfp), r.order);
                (r.head, EventKind::StallBegan { gfp, order, failure: self.failure(r) })
            }
            AnyRecord::SlabCacheCreated(r) => {
                let (name, size, failed) = (text(&r.name), r.size, r.failed != 0);
                (r.head, EventKind::SlabCacheCreated { name, size, failed })
            }
            AnyRecord::PernetInitFailed(r) => {
                let init = (r.init != 0).then(|| self.init(r.init));
                let errno = positive(r.errno);
                (r.head, EventKind::PernetInitFailed { init, errno })
            }
            AnyRecord::ChargeFailed(r) => (r.head, limit::charge_failed(r)),
            AnyRecord::ForkRefused(r) => (r.head, limit::fork_refused(r)),
            AnyRecord::StepFailed(r) => (r.head, step::failed(r)?),
            AnyRecord::NamespaceRefused(r) => {
                (r.head, EventKind::NamespaceRefused(NamespaceKind::from_number(r.kind)))
            }
            AnyRecord::OomKilled(r) => (r.head, EventKind::OomKill(self.oom_kill(r))),
            AnyRecord::BriefEnd(r) => {
                let step = Step::from_number(r.step).into();
                let (errno, namespaces) = (positive(r.errno), r.namespaces);
                (r.head, EventKind::BriefEnd { step, errno, namespaces })
            }
            AnyRecord::CgroupSetupEnded(r) => (r.head, cgroup_event::setup_ended(r)),
            AnyRecord::CgroupMade(r) => (r.head, cgroup_event::made(r, self.hierarchy)?),
            AnyRecord::CgroupRenamed(r) => (r.0.head, cgroup_event::renamed(r, self.hierarchy)?),
            AnyRecord::CgroupRemoved(r) => (r.head, cgroup_event::removed(r, self.hierarchy)?),
        })
    }

    fn init(&mut self, address: u64) -> Frame {
        let unknown = Frame { function: None, module: None, address };
        self.symbols.frame(address, false).unwrap_or(unknown)
    }
}

/// A positive errno of a negative one; `None` of 0.
fn positive(errno: i32) -> Option<i32> {
    (errno < 0).then(|| errno.saturating_neg())
}

/// Whether a process is a victim of the OOM killer, if that was read.
fn victim(number: u32) -> Option<bool> {
    match Victim::from_number(number)? {
        Victim::Unknown => None,
        Victim::No => Some(false),
        Victim::Yes => Some(true),
    }
}

/// Bytes up to the first NUL. What isn't UTF-8 becomes U+FFFD.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn cgroup_path(r: &fragwatch_ebpf::CgroupPath) -> CgroupPath {
    let used = r.names.get(..r.depth as usize).unwrap_or(&r.names);
    CgroupPath {
        names: used.iter().rev().map(|name| text(name)).collect(),
        truncated: r.truncated != 0,
    }
}

#[cfg(test)]
mod tests;
