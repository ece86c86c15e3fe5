//! Records from the kernel programs, turned into evidence.
use bytes::Bytes;
use fragwatch_ebpf::{
    self as wire, AllocationFailed, CompactionEnded, Head, Kind, NetnsSetupBegan, NetnsSetupEnded,
    PernetInitFailed, ReclaimEnded, SlabCacheCreated, SlowPathEntered,
};
use zerocopy::FromBytes;

use crate::{
    evidence::{CgroupPath, CompactResult, CreationKey, Event, Evidence, Failure, Task},
    kernel::{
        gfp::GfpNames,
        symbols::{Frame, Symbols},
        zone::Zone,
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
}

impl Decoder {
    /// Decodes one record.
    pub fn decode(&mut self, record: &Bytes) -> Result<Evidence, DecodeError> {
        let kind = record.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
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
            .ok_or(DecodeError { kind, len: record.len() })
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
                (r.head, Event::NetnsSetupEnded { errno, netns })
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
                (r.head, Event::PernetInitFailed { init, errno: r.errno.saturating_neg() })
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
        let zones = r.zones.get(..r.zone_count as usize).unwrap_or(&r.zones);
        Failure {
            stack: self.symbols.stack(frames),
            zones: (r.zones_read != 0).then(|| zones.iter().map(zone).collect()),
            zones_truncated: r.zones_truncated != 0,
        }
    }
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

fn zone(z: &wire::Zone) -> Zone {
    let blocks = z.blocks.get(..z.orders as usize).unwrap_or(&z.blocks);
    Zone {
        node: u32::try_from(z.node).ok(),
        name: text(&z.name),
        free: z.free,
        free_cma: z.free_cma,
        managed: z.managed,
        min_watermark: z.min_watermark,
        lowmem_reserve: z.lowmem_reserve,
        reserved_highatomic: z.reserved_highatomic,
        blocks: blocks.iter().map(|&n| u64::from(n)).collect(),
        usable_orders: z.usable_orders,
        incomplete: z.incomplete != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::gfp;

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
        Decoder { gfp: gfp::tests::names_6_12(), symbols: Symbols::default() }
    }

    #[test]
    fn decodes_an_end() {
        let mut bytes = head(Kind::NetnsSetupEnded);
        bytes.extend((-12i32).to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        let evidence = decoder().decode(&bytes.into()).expect("fits");
        assert_eq!(evidence.creation, Some(CreationKey { began_ns: 4_000_000_000, tid: 754 }));
        assert_eq!(evidence.task.comm, "runc:[1:CHILD]");
        assert_eq!((evidence.task.pid, evidence.task.cgroup_id), (753, 4711));
        assert_eq!(evidence.event, Event::NetnsSetupEnded { errno: Some(12), netns: None });
    }

    #[test]
    fn decodes_a_cgroup_path_root_first() {
        let mut bytes = head(Kind::NetnsSetupBegan);
        bytes.extend(0x4000_0000u64.to_ne_bytes());
        bytes.extend(2u32.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        for level in ["3fa9", "docker", "left from another record"] {
            let mut name = [0xff; wire::CGROUP_NAME_LEN];
            name[..level.len()].copy_from_slice(level.as_bytes());
            name[level.len()] = 0;
            bytes.extend(name);
        }
        bytes.resize(size_of::<NetnsSetupBegan>(), 0);
        let evidence = decoder().decode(&bytes.into()).expect("fits");
        let names = vec!["docker".to_owned(), "3fa9".to_owned()];
        let cgroup = CgroupPath { names, truncated: false };
        assert_eq!(evidence.event, Event::NetnsSetupBegan { cgroup });
    }

    #[test]
    fn decodes_a_failure_with_its_zones() {
        let mut bytes = head(Kind::AllocationFailed);
        // gfp, order, migratetype, highest zone, read, zones, truncated, frames
        for word in [0x40cc0u32, 6, 0, 2, 1, 1, 0, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.resize(bytes.len() + wire::MAX_FRAMES * 8, 0xff);
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(1u32.to_ne_bytes());
        bytes.extend(b"DMA32\0garbage...");
        for word in [71_750u64, 0, 180_000, 700, 0, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [11u32, 0, 69_949, 11, 21, 15, 2, 1, 0, 0, 0, 0, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.resize(size_of::<AllocationFailed>(), 0);
        // What lies behind the zone's used blocks belongs to nothing.
        let evidence = decoder().decode(&bytes.into()).expect("fits");
        let Event::AllocationFailed { gfp, order, failure } = evidence.event else {
            panic!("another event: {:?}", evidence.event)
        };
        assert_eq!((gfp.flags.as_deref(), order), (Some("GFP_KERNEL|__GFP_COMP"), 6));
        assert_eq!(failure.zones, Some(vec![crate::kernel::zone::tests::fragmented()]));
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
