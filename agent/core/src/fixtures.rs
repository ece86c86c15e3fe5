//! Example events, steps and facts for tests.
#![allow(clippy::missing_panics_doc, reason = "a panic here is a failed test")]
use crate::{
    correlate::{Correlated, Correlator},
    model::{
        entry::{self, Header},
        event::{
            CgroupPath, CgroupSetup, ChargeFailed, CompactResult, CreationKey, Event, EventKind,
            FailedStep, Failure, ForkRefused, LimitKind, NamespaceKind, Omitted, OomKill, OomScope,
            StartStep, Task,
        },
        frame::Frame,
        gfp::GfpNames,
        incident::Incident,
        node::{Memory, MemoryCgroups, NodeFacts, NodeZone},
        repeats::CountedStep,
        step::{CreationStep, STALL_NS},
        zone::Zone,
    },
};

/// The creation that the example events belong to.
pub const KEY: CreationKey = CreationKey { began_ns: 1_000_000_000, tid: 753 };

/// An event of runc's first child, `ms` milliseconds after the creation began.
pub fn at(creation: Option<CreationKey>, ms: u64, event: EventKind) -> Event {
    Event {
        time_ns: 1_000_000_000 + ms * 1_000_000,
        creation,
        task: Task {
            pid: 753,
            tid: 753,
            comm: "runc:[1:CHILD]".to_owned(),
            cgroup_id: 4711,
            user: Some(0),
        },
        kind: event,
    }
}

/// A stack frame.
pub fn frame(function: &str, module: Option<&str>) -> Frame {
    let module = module.map(str::to_owned);
    Frame { function: Some(function.to_owned()), module, address: 0xffff_ffff_8100_0000 }
}

/// An order-6 allocation of this mask failed in a subsystem's initialisation.
pub fn failed(raw: u32) -> EventKind {
    let stack = [
        ("warn_alloc", None),
        ("__alloc_pages_slowpath.constprop.0", None),
        ("__alloc_pages_noprof", None),
        ("___kmalloc_large_node", None),
        ("fw_pernet_init", Some("fragwatch_pernet")),
        ("ops_init", None),
        ("setup_net", None),
        ("copy_net_ns", None),
        ("create_new_namespaces", None),
    ];
    EventKind::AllocationFailed {
        gfp: names_6_12().decode(raw),
        order: 6,
        failure: Failure {
            stack: stack.iter().map(|(f, m)| frame(f, *m)).collect(),
            zones: vec![fragmented()],
            zones_complete: true,
        },
    }
}

/// Such an allocation entered the slow path.
pub fn entered() -> EventKind {
    EventKind::SlowPathEntered { gfp: names_6_12().decode(0x40cc0), order: 6 }
}

/// Compaction for it ran without result.
pub fn compacted(stall_ns: u64) -> EventKind {
    let result = CompactResult::Complete;
    EventKind::CompactionEnded { gfp: names_6_12().decode(0x40cc0), order: 6, result, stall_ns }
}

/// The creation ended.
pub fn ended(errno: Option<i32>) -> EventKind {
    let id = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
    let pod = "pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
    let names = ["kubepods", "burstable", pod, id].map(str::to_owned).to_vec();
    EventKind::NetnsSetupEnded {
        errno,
        netns: errno.is_none().then_some(4_026_532_115),
        lost: false,
        omitted: Omitted::default(),
        cgroup: CgroupPath { names, truncated: false },
        call_flags: None,
        namespaces: 0x4000_0000,
        oom_victim: None,
    }
}

/// An order-6 allocation begins to wait in direct compaction.
pub fn began_to_wait() -> EventKind {
    let EventKind::AllocationFailed { gfp, order, failure } = failed(0x40cc0) else {
        unreachable!("that is what it makes")
    };
    EventKind::StallBegan { gfp, order, failure }
}

/// The one step that these events make.
pub fn step_of(events: Vec<EventKind>) -> CreationStep {
    let mut correlator = Correlator::default();
    let mut correlated = Vec::new();
    for (i, event) in events.into_iter().enumerate() {
        correlated.extend(correlator.push(at(Some(KEY), i as u64 + 1, event)));
    }
    assert_eq!(correlator.unfinished(), 0);
    match correlated.pop() {
        Some(Correlated::CreationStep(creation)) if correlated.is_empty() => *creation,
        other => panic!("not one creation: {other:?} after {correlated:?}"),
    }
}

/// One event of each kind, as one creation might have them.
/// One event of each kind.
pub fn every_event() -> Vec<EventKind> {
    let gfp = || names_6_12().decode(0x40cc0);
    let memcg = || Some("/kubepods/pod1".to_owned());
    vec![
        EventKind::SlabCacheCreated { name: "fw_conn_17".to_owned(), size: 320, failed: false },
        entered(),
        compacted(1_200_000),
        EventKind::CompactionEnded {
            gfp: gfp(),
            order: 6,
            result: CompactResult::Other(99),
            stall_ns: 1,
        },
        EventKind::ReclaimEnded { gfp: gfp(), order: 6, reclaimed: 32, stall_ns: 9_000 },
        failed(0x40cc0),
        EventKind::MemcgReclaimEnded { count: 3, reclaimed: 1, stall_ns: 5_000, memcg: memcg() },
        began_to_wait(),
        EventKind::ChargeFailed(ChargeFailed {
            memcg: memcg(),
            limit_kind: Some(LimitKind::Kmem),
            gfp: Some(gfp()),
            bytes: Some(4096),
            usage: Some(262_144),
            limit: Some(262_144),
            refusals: Some(5),
            errno: libc::ENOMEM,
        }),
        EventKind::OomKill(OomKill {
            pid: Some(679),
            comm: Some("runc:[2:INIT]".to_owned()),
            order: Some(1),
            gfp: Some(gfp()),
            scope: OomScope::Memcg(memcg()),
            cgroup_id: Some(4711),
            failure: Some(Failure::default()),
            ..OomKill::default()
        }),
        EventKind::NamespaceRefused(NamespaceKind::Net),
        EventKind::StepFailed(FailedStep {
            step: StartStep::Mount,
            errno: libc::ENOMEM,
            uid: 0,
            processes: Some(3),
            process_limit: Some(100),
        }),
        EventKind::ForkRefused(ForkRefused {
            cgroup: memcg(),
            processes: Some(3),
            limit: Some(3),
            times: None,
        }),
        EventKind::CgroupMade { id: 4711, path: CgroupPath::parse("/a/b") },
        EventKind::CgroupRenamed { id: 4711, path: CgroupPath::parse("/a/c") },
        EventKind::CgroupRemoved { id: 4711 },
        EventKind::PernetInitFailed {
            init: Some(frame("fw_pernet_init", Some("fragwatch_pernet"))),
            errno: Some(libc::ENOMEM),
        },
        ended(Some(libc::ENOMEM)),
        EventKind::BriefEnd {
            step: CountedStep::Namespaces,
            errno: Some(libc::ENOMEM),
            namespaces: 0x4000_0000,
        },
        EventKind::CgroupSetupEnded(CgroupSetup {
            parent: CgroupPath::parse("/kubepods"),
            name: "pod1".to_owned(),
            errno: Some(libc::ENOSPC),
            memory_errno: Some(libc::ENOSPC),
            oom_victim: Some(false),
            lost: false,
            omitted: Omitted::default(),
        }),
    ]
}

/// The failure that the project is about.
/// A step that failed with ENOMEM for fragmentation.
pub fn failed_creation() -> CreationStep {
    let init = Some(frame("fw_pernet_init", Some("fragwatch_pernet")));
    let slab = ("fw_conn_17".to_owned(), 320, false);
    step_of(vec![
        EventKind::SlabCacheCreated { name: slab.0, size: slab.1, failed: slab.2 },
        entered(),
        compacted(1_200_000),
        compacted(1_210_000),
        failed(0x40cc0),
        EventKind::PernetInitFailed { init, errno: Some(libc::ENOMEM) },
        ended(Some(libc::ENOMEM)),
    ])
}

/// The same allocation fails, and the creation survives it.
/// A step whose failed allocation had a fallback.
pub fn degraded_creation() -> CreationStep {
    step_of(vec![entered(), compacted(400_000), failed(0x40cc0), ended(None)])
}

/// A step that got its block only after direct compaction.
pub fn near_miss() -> CreationStep {
    step_of(vec![entered(), began_to_wait(), compacted(12_000_000), ended(None)])
}

/// A step without trouble.
pub fn ok_creation() -> CreationStep {
    step_of(vec![ended(None)])
}

/// A failed allocation outside any creation.
pub fn incident() -> Incident {
    let mut correlator = Correlator::new(false, false, 4096);
    assert_eq!(correlator.push(at(None, 1, compacted(3_000_000))), []);
    match correlator.push(at(None, 2, failed(0x40cc0))).pop() {
        Some(Correlated::Incident(incident)) => *incident,
        other => panic!("no incident: {other:?}"),
    }
}

/// The enum as 6.12's BTF has it.
/// `___GFP_*_BIT` of 6.12, from bit 0.
pub const BITS_6_12: [&str; 24] = [
    "DMA",
    "HIGHMEM",
    "DMA32",
    "MOVABLE",
    "RECLAIMABLE",
    "HIGH",
    "IO",
    "FS",
    "ZERO",
    "UNUSED",
    "DIRECT_RECLAIM",
    "KSWAPD_RECLAIM",
    "WRITE",
    "NOWARN",
    "RETRY_MAYFAIL",
    "NOFAIL",
    "NORETRY",
    "MEMALLOC",
    "COMP",
    "NOMEMALLOC",
    "HARDWALL",
    "THISNODE",
    "ACCOUNT",
    "ZEROTAGS",
];

/// The gfp names of 6.12.
pub fn names_6_12() -> GfpNames {
    let names: Vec<String> = BITS_6_12.iter().map(|n| format!("___GFP_{n}_BIT")).collect();
    let bits: Vec<(&str, u32)> =
        names.iter().enumerate().map(|(i, n)| (n.as_str(), i as u32)).collect();
    GfpNames::from_bits(&bits)
}

/// The zone of the design's example: 768 MiB of guest memory, every other page freed.
pub fn fragmented() -> Zone {
    Zone {
        node: Some(0),
        name: "DMA32".to_owned(),
        free: 71_750,
        free_cma: 0,
        managed: 180_000,
        min_watermark: 700,
        lowmem_reserve: 0,
        high_watermark: None,
        reserved_highatomic: 0,
        blocks: vec![69_949, 11, 21, 15, 2, 1, 0, 0, 0, 0, 0],
        usable_orders: 0,
        per_order_marks: false,
        incomplete: false,
    }
}

/// Facts that were read at that time.
pub fn facts(time_ns: u64) -> NodeFacts {
    let memory = Memory {
        total_kib: Some(750_000),
        free_kib: Some(318_464),
        available_kib: Some(301_000),
        slab_reclaimable_kib: Some(9_000),
        slab_unreclaimable_kib: Some(21_504),
    };
    NodeFacts {
        time_ns,
        took_ns: 310_000,
        kernel: Some("6.12.117+deb12-cloud-amd64".to_owned()),
        memory: Some(memory),
        zones: vec![NodeZone {
            node: 0,
            name: "DMA32".to_owned(),
            free: 79_616,
            free_cma: 0,
            managed: 180_000,
            min: 700,
            low: 875,
            high: 1050,
            lowmem_reserve: Some(0),
            blocks: vec![69_949, 411, 21, 15, 2, 1, 0, 0, 0, 0, 0],
        }],
        memory_cgroups: Some(MemoryCgroups { count: 1204, dying: Some(87), at_most: false }),
        slab_caches: Some(235),
        zone_reclaim_mode: Some(0),
        threads: None,
        threads_max: None,
        pid_max: None,
    }
}

/// The step as it is seen without the hook on failed allocations.
/// The one step that events make where failed allocations can't be seen.
pub fn step_with_failures_unobservable(errno: Option<i32>) -> CreationStep {
    let mut correlator = Correlator::new(true, false, 4096);
    let mut end = ended(errno);
    if let EventKind::NetnsSetupEnded { call_flags, namespaces, .. } = &mut end {
        // CLONE_NEWNET and CLONE_NEWIPC
        (*call_flags, *namespaces) = (Some(0x4800_0000), 0x4800_0000);
    }
    let mut correlated = Vec::new();
    for (i, event) in [entered(), compacted(600), end].into_iter().enumerate() {
        correlated.extend(correlator.push(at(Some(KEY), i as u64 + 1, event)));
    }
    match correlated.pop() {
        Some(Correlated::CreationStep(creation)) => *creation,
        other => panic!("no creation: {other:?}"),
    }
}

/// The header of a trace on 6.12 that has no hook.
pub fn header() -> Header {
    Header {
        format: entry::FORMAT.to_owned(),
        format_version: entry::FORMAT_VERSION,
        version: "0.1.0".to_owned(),
        kernel: "6.12.107+deb12-cloud-amd64".to_owned(),
        page_size: 4096,
        all: false,
        hooks: Vec::new(),
        not_seen: Vec::new(),
        unobservable: Vec::new(),
        sees_failures: true,
        stall_ns: STALL_NS,
        realtime_offset_ns: 1_763_631_755_123_456_789,
    }
}
