//! Records from the kernel programs, turned into evidence.
use std::collections::HashMap;

use bytes::Bytes;
use fragwatch_ebpf::{
    AllocationFailed, CompactionEnded, Head, Kind, NetnsSetupBegan, NetnsSetupEnded,
    PernetInitFailed, ReclaimEnded, SlabCacheCreated, SlowPathEntered, ZoneRead,
};
use zerocopy::FromBytes;

use crate::{
    evidence::{CgroupPath, CompactResult, CreationKey, Event, Evidence, Failure, Task},
    kernel::{
        gfp::GfpNames,
        offsets::AreasLayout,
        symbols::{Frame, Symbols},
        zone::{self, Zone},
    },
};

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
    /// Zones whose failure has not come yet, by thread, with the failure's time.
    pub zones: HashMap<u32, (u64, Vec<Zone>)>,
}

/// Threads whose zones are kept at a time. A failure follows its zones at once, so more of them
/// than there are CPUs means that failures were lost.
const MAX_THREADS: usize = 1024;

impl Decoder {
    /// Decodes one record. `None` if it is only a part of evidence, whose last record is still to
    /// come.
    pub fn decode(&mut self, record: &Bytes) -> Result<Option<Evidence>, DecodeError> {
        let kind = record.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
        if kind == Kind::ZoneRead as u32 {
            let part = whole(record).map(|zone| self.keep_zone(&zone));
            return part.map(|()| None).ok_or(DecodeError { kind, len: record.len() });
        }
        self.event(kind, record)
            .map(|(head, event)| Evidence {
                time_ns: head.time_ns,
                creation: (head.creation_ns != 0)
                    .then_some(CreationKey { began_ns: head.creation_ns, tid: head.tid }),
                task: Task {
                    pid: head.tgid,
                    tid: head.tid,
                    comm: text(&head.comm),
                    cgroup_id: head.cgroup_id,
                },
                event,
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

    fn event(&mut self, kind: u32, record: &[u8]) -> Option<(Head, Event)> {
        const BEGAN: u32 = Kind::NetnsSetupBegan as u32;
        const ENDED: u32 = Kind::NetnsSetupEnded as u32;
        const SLOW_PATH: u32 = Kind::SlowPathEntered as u32;
        const FAILED: u32 = Kind::AllocationFailed as u32;
        const COMPACTION: u32 = Kind::CompactionEnded as u32;
        const RECLAIM: u32 = Kind::ReclaimEnded as u32;
        const SLAB: u32 = Kind::SlabCacheCreated as u32;
        const PERNET: u32 = Kind::PernetInitFailed as u32;
        Some(match kind {
            BEGAN => {
                let r: NetnsSetupBegan = whole(record)?;
                (r.head, Event::NetnsSetupBegan { cgroup: cgroup_path(&r) })
            }
            ENDED => {
                let r: NetnsSetupEnded = whole(record)?;
                let errno = (r.errno < 0).then(|| r.errno.saturating_neg());
                let netns = (r.netns != 0).then_some(r.netns);
                (r.head, Event::NetnsSetupEnded { errno, netns, lost: r.lost != 0 })
            }
            SLOW_PATH => {
                let r: SlowPathEntered = whole(record)?;
                (r.head, Event::SlowPathEntered { gfp: self.gfp.decode(r.gfp), order: r.order })
            }
            FAILED => {
                let r: AllocationFailed = whole(record)?;
                let (gfp, order) = (self.gfp.decode(r.gfp), r.order);
                (r.head, Event::AllocationFailed { gfp, order, failure: self.failure(&r) })
            }
            COMPACTION => {
                let r: CompactionEnded = whole(record)?;
                let (gfp, order, stall_ns) = (self.gfp.decode(r.gfp), r.order, r.stall_ns);
                let result = CompactResult::from_number(r.result);
                (r.head, Event::CompactionEnded { gfp, order, result, stall_ns })
            }
            RECLAIM => {
                let r: ReclaimEnded = whole(record)?;
                let (gfp, order) = (self.gfp.decode(r.gfp), r.order);
                let (reclaimed, stall_ns) = (r.reclaimed, r.stall_ns);
                (r.head, Event::ReclaimEnded { gfp, order, reclaimed, stall_ns })
            }
            SLAB => {
                let r: SlabCacheCreated = whole(record)?;
                let (name, size, failed) = (text(&r.name), r.size, r.failed != 0);
                (r.head, Event::SlabCacheCreated { name, size, failed })
            }
            PERNET => {
                let r: PernetInitFailed = whole(record)?;
                let init = (r.init != 0).then(|| self.init(r.init));
                let began_ns = (r.began_ns != 0).then_some(r.began_ns);
                let errno = r.errno.saturating_neg();
                (r.head, Event::PernetInitFailed { began_ns, init, errno })
            }
            _ => return None,
        })
    }

    fn init(&mut self, address: u64) -> Frame {
        let unknown = Frame { function: None, module: None, address };
        self.symbols.frame(address, false).unwrap_or(unknown)
    }

    fn failure(&mut self, r: &AllocationFailed) -> Failure {
        let frames = r.stack.get(..r.frames as usize).unwrap_or(&r.stack);
        let (failure_ns, zones) = self.zones.remove(&r.head.tid).unwrap_or_default();
        // A zone whose record was lost may be the one that could have served.
        let all = failure_ns == r.failure_ns && zones.len() == r.zone_count as usize;
        let zones_complete = r.zones_complete != 0 && all;
        Failure {
            stack: self.symbols.stack(frames),
            zones: if failure_ns == r.failure_ns { zones } else { Vec::new() },
            zones_complete,
        }
    }

    fn zone(&self, z: &ZoneRead) -> Zone {
        let areas =
            self.areas.as_ref().and_then(|layout| zone::read_areas(&z.areas, z.areas_at, layout));
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
            incomplete,
        }
    }
}

/// A zone's counter, as `zone_page_state` reads it: the part that lies on other CPUs can make the
/// global one negative, which counts as nothing.
fn counter(pages: u64) -> u64 {
    if pages.cast_signed() < 0 { 0 } else { pages }
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

fn cgroup_path(r: &NetnsSetupBegan) -> CgroupPath {
    let used = r.cgroup.get(..r.depth as usize).unwrap_or(&r.cgroup);
    CgroupPath {
        names: used.iter().rev().map(|name| text(name)).collect(),
        truncated: r.truncated != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{
        gfp,
        zone::tests::{LAYOUT, areas, fragmented},
    };

    /// A record as the programs write it: words of the contract in their order.
    fn head(kind: Kind) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [kind as u32, 754, 753, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [5_000_000_000u64, 4_000_000_000, 4711] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(b"runc:[1:CHILD]\0\0");
        assert_eq!(bytes.len(), size_of::<Head>());
        bytes
    }

    fn decoder() -> Decoder {
        let gfp = gfp::tests::names_6_12();
        Decoder { gfp, areas: Some(LAYOUT), ..Decoder::default() }
    }

    #[test]
    fn decodes_an_end() {
        let mut bytes = head(Kind::NetnsSetupEnded);
        bytes.extend((-12i32).to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(3u32.to_ne_bytes());
        bytes.extend([0; 4]);
        let evidence = decoder().decode(&bytes.into()).expect("fits").expect("whole");
        assert_eq!(evidence.creation, Some(CreationKey { began_ns: 4_000_000_000, tid: 754 }));
        assert_eq!(evidence.task.comm, "runc:[1:CHILD]");
        assert_eq!((evidence.task.pid, evidence.task.cgroup_id), (753, 4711));
        assert_eq!(
            evidence.event,
            Event::NetnsSetupEnded { errno: Some(12), netns: None, lost: true }
        );
    }

    #[test]
    fn decodes_a_cgroup_path_root_first() {
        let mut bytes = head(Kind::NetnsSetupBegan);
        bytes.extend(0x4000_0000u64.to_ne_bytes());
        bytes.extend(2u32.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        for level in ["3fa9", "docker", "left from another record"] {
            let mut name = [0xff; fragwatch_ebpf::CGROUP_NAME_LEN];
            name[..level.len()].copy_from_slice(level.as_bytes());
            name[level.len()] = 0;
            bytes.extend(name);
        }
        bytes.resize(size_of::<NetnsSetupBegan>(), 0);
        let evidence = decoder().decode(&bytes.into()).expect("fits").expect("whole");
        let names = vec!["docker".to_owned(), "3fa9".to_owned()];
        let cgroup = CgroupPath { names, truncated: false };
        assert_eq!(evidence.event, Event::NetnsSetupBegan { cgroup });
    }

    fn zone_read(failure_ns: u64) -> Bytes {
        let at = 0xff11_0000_0000_0100;
        let zone = fragmented();
        let mut bytes = head(Kind::ZoneRead);
        let watermark = [zone.min_watermark - 100, 100];
        for word in [failure_ns, at, zone.free, 0, zone.managed, watermark[0], watermark[1], 0, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend([0; 8]);
        bytes.extend(b"DMA32\0garbage...");
        bytes.extend(0u64.to_ne_bytes());
        bytes.extend(areas(at, &zone.blocks, 0));
        bytes.resize(size_of::<ZoneRead>(), 0xff);
        bytes.into()
    }

    fn allocation_failed(failure_ns: u64, zone_count: u32) -> Bytes {
        let mut bytes = head(Kind::AllocationFailed);
        bytes.extend(failure_ns.to_ne_bytes());
        // gfp, order, complete, zones, frames, reserved
        for word in [0x40cc0, 6, 1, zone_count, 0, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.resize(size_of::<AllocationFailed>(), 0xff);
        bytes.into()
    }

    fn failure(decoder: &mut Decoder, record: &Bytes) -> Failure {
        match decoder.decode(record).expect("fits").expect("whole").event {
            Event::AllocationFailed { gfp, order, failure } => {
                assert_eq!((gfp.flags.as_deref(), order), (Some("GFP_KERNEL|__GFP_COMP"), 6));
                failure
            }
            other => panic!("another event: {other:?}"),
        }
    }

    #[test]
    fn a_failure_takes_its_zones() {
        let mut decoder = decoder();
        assert_eq!(decoder.decode(&zone_read(77)), Ok(None));
        let mut zone = fragmented();
        zone.usable_orders = 0b11_1111;
        let whole = Failure { stack: Vec::new(), zones: vec![zone], zones_complete: true };
        assert_eq!(failure(&mut decoder, &allocation_failed(77, 1)), whole);
        // They are taken once.
        assert!(!failure(&mut decoder, &allocation_failed(77, 1)).zones_complete);
    }

    #[test]
    fn a_negative_counter_is_nothing() {
        assert_eq!(counter((-3i64).cast_unsigned()), 0);
        assert_eq!(counter(3), 3);
    }

    #[test]
    fn lost_zones_make_a_failure_incomplete() {
        let mut decoder = decoder();
        assert_eq!(decoder.decode(&zone_read(77)), Ok(None));
        assert!(!failure(&mut decoder, &allocation_failed(77, 2)).zones_complete);
        // Left over from a failure whose record was lost.
        assert_eq!(decoder.decode(&zone_read(77)), Ok(None));
        assert_eq!(decoder.decode(&zone_read(99)), Ok(None));
        let next = failure(&mut decoder, &allocation_failed(99, 1));
        assert_eq!((next.zones.len(), next.zones_complete), (1, true));
        assert_eq!(decoder.decode(&zone_read(77)), Ok(None));
        let other = failure(&mut decoder, &allocation_failed(99, 1));
        assert_eq!((other.zones.len(), other.zones_complete), (0, false));
    }

    #[test]
    fn another_shape_is_an_error() {
        let mut bytes = head(Kind::NetnsSetupEnded);
        bytes.push(0);
        let len = bytes.len();
        assert_eq!(decoder().decode(&bytes.into()), Err(DecodeError { kind: 2, len }));
        let error = decoder().decode(&Bytes::from_static(b"\x63\0\0\0"));
        assert_eq!(error, Err(DecodeError { kind: 99, len: 4 }));
        assert_eq!(decoder().decode(&Bytes::new()), Err(DecodeError { kind: 0, len: 0 }));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(kind in 0u32..10, rest in proptest::collection::vec(proptest::num::u8::ANY, 0..4000)) {
            let mut bytes = kind.to_ne_bytes().to_vec();
            bytes.extend(rest);
            let _ = decoder().decode(&bytes.into());
        }
    }
}
