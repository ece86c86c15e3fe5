//! Records from the kernel programs, turned into evidence.
mod cgroup_event;
mod step;

use std::collections::HashMap;

use bytes::Bytes;
use fragwatch_core::model::{
    event::{
        CgroupPath, ChargeFailed, CompactResult, CreationKey, Event, EventKind, Failure, LimitKind,
        OomKill, OomScope, Task,
    },
    frame::Frame,
    gfp::GfpNames,
    zone::Zone,
};
use fragwatch_ebpf::{
    AllocationFailed, CompactionEnded, Head, Kind, Limit, NetnsSetupBegan, NetnsSetupEnded,
    OomKilled, PernetInitFailed, ReclaimEnded, SlabCacheCreated, SlowPathEntered, ZoneRead,
};
use zerocopy::FromBytes;

use crate::kernel::{areas, offsets::AreasLayout, symbols::Symbols};

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
    /// This kernel's symbols; empty if they are hidden.
    pub symbols: Symbols,
    /// How free areas lie in this kernel's memory; `None` if zones are not read.
    pub areas: Option<AreasLayout>,
    /// The tasks' hierarchy of cgroups; see [`Hierarchy::id`](crate::host::hierarchy::Hierarchy::id).
    pub hierarchy: u32,
    /// Zones whose failure has not come yet, by thread, with the failure's time.
    pub zones: HashMap<u32, (u64, Vec<Zone>)>,
}

/// What the records of an allocation that failed and of an OOM kill have in common.
struct Moment<'a> {
    tid: u32,
    failure_ns: u64,
    zone_count: u32,
    zones_complete: u32,
    stack: &'a [u64],
}

/// Bytes of a page on x86-64.
const PAGE_SIZE: u64 = 4096;

/// Threads whose zones are kept at a time. A failure follows its zones at once, so more of them
/// than there are CPUs means that failures were lost.
const MAX_THREADS: usize = 1024;

impl Decoder {
    /// Decodes one record. `None` if it is only a part of evidence, whose last record is still to
    /// come, or about a cgroup of a hierarchy that tasks are not told by.
    pub fn decode(&mut self, record: &Bytes) -> Result<Option<Event>, DecodeError> {
        let kind = record.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
        if kind == Kind::ZoneRead as u32 {
            let part = whole(record).map(|zone| self.keep_zone(&zone));
            return part.map(|()| None).ok_or(DecodeError { kind, len: record.len() });
        }
        if cgroup_event::hierarchy(kind, record).is_some_and(|id| id != self.hierarchy) {
            return Ok(None);
        }
        self.event(kind, record)
            .map(|(head, event)| Event {
                time_ns: head.time_ns,
                creation: (head.creation_ns != 0)
                    .then_some(CreationKey { began_ns: head.creation_ns, tid: head.tid }),
                task: Task {
                    pid: head.tgid,
                    tid: head.tid,
                    comm: text(&head.comm),
                    cgroup_id: head.cgroup_id,
                },
                kind: event,
            })
            .map(Some)
            .ok_or(DecodeError { kind, len: record.len() })
    }

    fn keep_zone(&mut self, r: &ZoneRead) {
        if self.zones.len() >= MAX_THREADS {
            self.zones.clear();
        }
        let zone = self.zone(r);
        let (failure_ns, zones) = self.zones.entry(r.head.tid).or_default();
        if *failure_ns != r.failure_ns {
            // What is left of a failure that never came.
            zones.clear();
            *failure_ns = r.failure_ns;
        }
        zones.push(zone);
    }

    fn event(&mut self, kind: u32, record: &[u8]) -> Option<(Head, EventKind)> {
        const BEGAN: u32 = Kind::NetnsSetupBegan as u32;
        const ENDED: u32 = Kind::NetnsSetupEnded as u32;
        const SLOW_PATH: u32 = Kind::SlowPathEntered as u32;
        const FAILED: u32 = Kind::AllocationFailed as u32;
        const COMPACTION: u32 = Kind::CompactionEnded as u32;
        const RECLAIM: u32 = Kind::ReclaimEnded as u32;
        const SLAB: u32 = Kind::SlabCacheCreated as u32;
        const PERNET: u32 = Kind::PernetInitFailed as u32;
        const CHARGE: u32 = Kind::ChargeFailed as u32;
        const OOM: u32 = Kind::OomKilled as u32;
        const MEMCG_RECLAIM: u32 = Kind::MemcgReclaimEnded as u32;
        Some(match kind {
            BEGAN => {
                let r: NetnsSetupBegan = whole(record)?;
                // Of a hierarchy of its own, the cgroup's id is another one too.
                let cgroup_id = if r.cgroup.id == 0 { r.head.cgroup_id } else { r.cgroup.id };
                let head = Head { cgroup_id, ..r.head };
                let call_flags = (r.call_flags != 0).then_some(r.call_flags);
                let (cgroup, namespaces) = (cgroup_path(&r.cgroup), r.namespaces);
                (head, EventKind::NetnsSetupBegan { cgroup, call_flags, namespaces })
            }
            ENDED => {
                let r: NetnsSetupEnded = whole(record)?;
                let errno = positive(r.errno);
                let netns = (r.netns != 0).then_some(r.netns);
                (r.head, EventKind::NetnsSetupEnded { errno, netns, lost: r.lost != 0 })
            }
            SLOW_PATH => {
                let r: SlowPathEntered = whole(record)?;
                (r.head, EventKind::SlowPathEntered { gfp: self.gfp.decode(r.gfp), order: r.order })
            }
            FAILED => {
                let r: AllocationFailed = whole(record)?;
                let (gfp, order) = (self.gfp.decode(r.gfp), r.order);
                (r.head, EventKind::AllocationFailed { gfp, order, failure: self.failure(&r) })
            }
            COMPACTION => {
                let r: CompactionEnded = whole(record)?;
                let (gfp, order, stall_ns) = (self.gfp.decode(r.gfp), r.order, r.stall_ns);
                let result = CompactResult::from_number(r.result);
                (r.head, EventKind::CompactionEnded { gfp, order, result, stall_ns })
            }
            RECLAIM => {
                let r: ReclaimEnded = whole(record)?;
                let (gfp, order) = (self.gfp.decode(r.gfp), r.order);
                let (reclaimed, stall_ns) = (r.reclaimed, r.stall_ns);
                (r.head, EventKind::ReclaimEnded { gfp, order, reclaimed, stall_ns })
            }
            MEMCG_RECLAIM => {
                let r: ReclaimEnded = whole(record)?;
                let (gfp, order) = (self.gfp.decode(r.gfp), r.order);
                let (reclaimed, stall_ns) = (r.reclaimed, r.stall_ns);
                (r.head, EventKind::MemcgReclaimEnded { gfp, order, reclaimed, stall_ns })
            }
            SLAB => {
                let r: SlabCacheCreated = whole(record)?;
                let (name, size, failed) = (text(&r.name), r.size, r.failed != 0);
                (r.head, EventKind::SlabCacheCreated { name, size, failed })
            }
            PERNET => {
                let r: PernetInitFailed = whole(record)?;
                let init = (r.init != 0).then(|| self.init(r.init));
                let began_ns = (r.began_ns != 0).then_some(r.began_ns);
                let errno = r.errno.saturating_neg();
                (r.head, EventKind::PernetInitFailed { began_ns, init, errno })
            }
            CHARGE => {
                let r: fragwatch_ebpf::ChargeFailed = whole(record)?;
                (r.head, EventKind::ChargeFailed(charge(&r)))
            }
            OOM => {
                let r: OomKilled = whole(record)?;
                (r.head, EventKind::OomKill(self.oom_kill(&r)))
            }
            _ => return cgroup_event::decode(kind, record).or_else(|| step::decode(kind, record)),
        })
    }

    fn oom_kill(&mut self, r: &OomKilled) -> OomKill {
        let known = r.request_known != 0;
        let failure = self.moment(&Moment {
            tid: r.head.tid,
            failure_ns: r.failure_ns,
            zone_count: r.zone_count,
            zones_complete: r.zones_complete,
            stack: r.stack.get(..r.frames as usize).unwrap_or(&r.stack),
        });
        OomKill {
            pid: (r.victim != 0).then_some(r.victim),
            comm: Some(text(&r.victim_comm)),
            order: known.then_some(r.order),
            gfp: known.then(|| self.gfp.decode(r.gfp)),
            scope: match r.scope {
                0 => OomScope::Node,
                1 => OomScope::Memcg(Some(cgroup_path(&r.memcg).display())),
                _ => OomScope::Unknown,
            },
            cgroup_id: (r.victim_cgroup != 0).then_some(r.victim_cgroup),
            failure: known.then_some(failure),
            // Not seen by the hook.
            page_fault: false,
            bounded: false,
        }
    }

    fn init(&mut self, address: u64) -> Frame {
        let unknown = Frame { function: None, module: None, address };
        self.symbols.frame(address, false).unwrap_or(unknown)
    }

    fn failure(&mut self, r: &AllocationFailed) -> Failure {
        self.moment(&Moment {
            tid: r.head.tid,
            failure_ns: r.failure_ns,
            zone_count: r.zone_count,
            zones_complete: r.zones_complete,
            stack: r.stack.get(..r.frames as usize).unwrap_or(&r.stack),
        })
    }

    /// What was read at a failure: its zones came before it.
    fn moment(&mut self, r: &Moment) -> Failure {
        let (failure_ns, zones) = self.zones.remove(&r.tid).unwrap_or_default();
        // A zone whose record was lost may be the one that could have served.
        let all = failure_ns == r.failure_ns && zones.len() == r.zone_count as usize;
        let zones_complete = r.zones_complete != 0 && all;
        Failure {
            stack: self.symbols.stack(r.stack),
            zones: if failure_ns == r.failure_ns { zones } else { Vec::new() },
            zones_complete,
        }
    }

    fn zone(&self, z: &ZoneRead) -> Zone {
        let areas =
            self.areas.as_ref().and_then(|layout| areas::read_areas(&z.areas, z.areas_at, layout));
        let incomplete = z.errors != 0 || areas.is_none();
        let (blocks, usable_orders) = areas.unwrap_or_default();
        Zone {
            node: u32::try_from(z.node).ok(),
            name: text(&z.name),
            free: counter(z.free),
            free_cma: counter(z.free_cma),
            managed: z.managed,
            min_watermark: z.min_watermark.saturating_add(z.watermark_boost),
            lowmem_reserve: z.lowmem_reserve,
            reserved_highatomic: z.reserved_highatomic,
            blocks,
            usable_orders,
            high_watermark: Some(z.high_watermark.saturating_add(z.watermark_boost)),
            per_order_marks: false,
            incomplete,
        }
    }
}

/// A zone's counter, as `zone_page_state` reads it: the part that lies on other CPUs can make the
/// global one negative, which counts as nothing.
fn counter(pages: u64) -> u64 {
    if pages.cast_signed() < 0 { 0 } else { pages }
}

/// A positive errno of a negative one; `None` of 0.
fn positive(errno: i32) -> Option<i32> {
    (errno < 0).then(|| errno.saturating_neg())
}

fn whole<T: FromBytes>(record: &[u8]) -> Option<T> {
    // The ring pads nothing: a record is as long as its struct.
    T::read_from_bytes(record).ok()
}

/// Bytes up to the first NUL. What isn't UTF-8 becomes U+FFFD.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn charge(r: &fragwatch_ebpf::ChargeFailed) -> ChargeFailed {
    const MEMORY: u32 = Limit::Memory as u32;
    const KMEM: u32 = Limit::Kmem as u32;
    const MEMORY_SWAP: u32 = Limit::MemorySwap as u32;
    let kind = match r.limit {
        MEMORY => Some(LimitKind::Memory),
        KMEM => Some(LimitKind::Kmem),
        MEMORY_SWAP => Some(LimitKind::MemorySwap),
        _ => None,
    };
    let bytes = |pages: u64| pages.saturating_mul(PAGE_SIZE);
    ChargeFailed {
        memcg: kind.map(|_| cgroup_path(&r.cgroup).display()),
        limit_kind: kind,
        gfp: None,
        bytes: Some(bytes(r.pages)),
        usage: Some(bytes(r.usage)),
        limit: Some(bytes(r.max)),
        refusals: Some(r.refusals),
        // What every function on the way makes of it.
        errno: libc::ENOMEM,
    }
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
