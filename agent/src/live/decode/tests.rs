//! Records as the programs write them, decoded.
use fragwatch_core::{
    fixtures::{self, fragmented},
    model::event::{Failure, LimitKind},
};
use fragwatch_ebpf::{AllocationFailed, Kind, Limit, NetnsSetupEnded, ZoneRead};
use proptest::prelude::*;

use super::{failure::counter, *};

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
    let gfp = fixtures::names_6_12();
    Decoder { gfp, ..Decoder::default() }
}

#[test]
fn decodes_an_end() {
    let mut bytes = head(Kind::NetnsSetupEnded);
    bytes.extend((-12i32).to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(3u32.to_ne_bytes());
    bytes.extend((Victim::Yes as u32).to_ne_bytes());
    bytes.extend(142u64.to_ne_bytes());
    bytes.extend(7u64.to_ne_bytes());
    bytes.extend(0u64.to_ne_bytes());
    bytes.extend(0x4000_0000u64.to_ne_bytes());
    bytes.extend(815u64.to_ne_bytes());
    bytes.extend(2u32.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    for level in ["3fa9", "docker", "left from another record"] {
        let mut name = [0xff; fragwatch_ebpf::CGROUP_NAME_LEN];
        name[..level.len()].copy_from_slice(level.as_bytes());
        name[level.len()] = 0;
        bytes.extend(name);
    }
    bytes.resize(size_of::<NetnsSetupEnded>(), 0);
    let event = decoder().decode(&bytes.into()).expect("fits").expect("whole");
    assert_eq!(event.creation, Some(CreationKey { began_ns: 4_000_000_000, tid: 754 }));
    assert_eq!(event.task.comm, "runc:[1:CHILD]");
    assert_eq!(event.task.pid, 753);
    assert_eq!(event.task.cgroup_id, 815, "of the hierarchy that the path is of");
    // The path's names are turned around: the root comes first.
    let names = vec!["docker".to_owned(), "3fa9".to_owned()];
    let ended = EventKind::NetnsSetupEnded {
        errno: Some(12),
        netns: None,
        lost: true,
        omitted: Omitted { failures: 142, stall_ns: 7 },
        cgroup: CgroupPath { names, truncated: false },
        call_flags: None,
        namespaces: 0x4000_0000,
        oom_victim: Some(true),
    };
    assert_eq!(event.kind, ended);
}

fn zone_read(failure_ns: u64) -> Bytes {
    let zone = fragmented();
    let mut bytes = head(Kind::ZoneRead);
    let (min, high, boost) = (zone.min_watermark - 100, 900, 100);
    for word in [failure_ns, zone.free, 0, zone.managed, min, high, boost, 0, 0] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend([0; 8]);
    bytes.extend(b"DMA32\0.x");
    bytes.extend(0u64.to_ne_bytes());
    for count in &zone.blocks {
        bytes.extend((*count as u32).to_ne_bytes());
    }
    // Orders 0 to 5 are on lists that every allocation may take from.
    bytes.extend([7, 1, 128, 255, 1, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes.len(), size_of::<ZoneRead>());
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
    match decoder.decode(record).expect("fits").expect("whole").kind {
        EventKind::AllocationFailed { gfp, order, failure } => {
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
    zone.high_watermark = Some(1000);
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
    assert_eq!(
        decoder().decode(&bytes.into()),
        Err(DecodeError { kind: Kind::NetnsSetupEnded as u32, len })
    );
    let error = decoder().decode(&Bytes::from_static(b"\x63\0\0\0"));
    assert_eq!(error, Err(DecodeError { kind: 99, len: 4 }));
    assert_eq!(decoder().decode(&Bytes::new()), Err(DecodeError { kind: 0, len: 0 }));
}

/// A record of this kind with the length that its struct has, and anything behind the kind.
fn record_of(kind: Kind) -> impl Strategy<Value = Bytes> {
    let rest = kind.size() - size_of::<u32>();
    proptest::collection::vec(proptest::num::u8::ANY, rest).prop_map(move |rest| {
        let mut bytes = (kind as u32).to_ne_bytes().to_vec();
        bytes.extend(rest);
        bytes.into()
    })
}

/// The hierarchy of the cgroup that a record is about, if it is about one.
fn hierarchy_of(record: &Bytes) -> Option<u32> {
    match AnyRecord::read(record)? {
        AnyRecord::CgroupMade(r) => Some(r.hierarchy),
        AnyRecord::CgroupRenamed(r) => Some(r.0.hierarchy),
        AnyRecord::CgroupRemoved(r) => Some(r.hierarchy),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_kind_decodes_whatever_it_holds(
        records in Kind::ALL.iter().map(|kind| record_of(*kind)).collect::<Vec<_>>(),
    ) {
        for (kind, record) in Kind::ALL.iter().zip(&records) {
            let hierarchy = hierarchy_of(record);
            let mut decoder = Decoder { hierarchy: hierarchy.unwrap_or_default(), ..decoder() };
            let event = decoder.decode(record).expect("its length is that of its kind");
            // A zone is only a part of an event, and a step has a number that is one's.
            let may_be_none = matches!(kind, Kind::ZoneRead | Kind::StepFailed);
            prop_assert!(event.is_some() || may_be_none, "{:?}", kind);
            let time = u64::from_ne_bytes(record[16..24].try_into().expect("eight bytes"));
            prop_assert!(event.is_none_or(|event| event.time_ns == time), "{:?}", kind);
            if let Some(hierarchy) = hierarchy {
                let mut decoder = Decoder { hierarchy: hierarchy ^ 1, ..decoder };
                prop_assert_eq!(decoder.decode(record), Ok(None), "of another hierarchy");
            }
        }
    }

    #[test]
    fn other_lengths_and_kinds_are_errors(
        kind in proptest::num::u32::ANY.prop_map(|word| word % 32),
        rest in proptest::collection::vec(proptest::num::u8::ANY, 0..4000),
    ) {
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend(rest);
        let len = bytes.len();
        let fits = Kind::from_number(kind).is_some_and(|kind| kind.size() == len);
        let decoded = decoder().decode(&bytes.into());
        prop_assert_eq!(decoded.is_ok(), fits);
        if let Err(error) = decoded {
            prop_assert_eq!(error, DecodeError { kind, len });
        }
    }

    #[test]
    fn one_byte_more_or_less_is_an_error(
        records in Kind::ALL.iter().map(|kind| record_of(*kind)).collect::<Vec<_>>(),
    ) {
        for record in records {
            let longer: Vec<u8> = record.iter().copied().chain([0]).collect();
            prop_assert!(decoder().decode(&longer.into()).is_err());
            prop_assert!(decoder().decode(&record.slice(..record.len() - 1)).is_err());
        }
    }
}

/// A charge of two pages that `/pod`, which has room for one, refused.
fn charge_failed(limit: Limit) -> Bytes {
    let mut record = head(Kind::ChargeFailed);
    for pages in [2u64, 72, 73] {
        record.extend(pages.to_ne_bytes());
    }
    record.extend(19u32.to_ne_bytes());
    record.extend((limit as u32).to_ne_bytes());
    record.extend(815u64.to_ne_bytes());
    record.extend(1u32.to_ne_bytes());
    record.extend(0u32.to_ne_bytes());
    record.extend(b"pod\0");
    record.resize(size_of::<fragwatch_ebpf::ChargeFailed>(), 0);
    record.into()
}

#[test]
fn a_refused_charge_names_the_cgroup_whose_limit_it_hit() {
    let decoded = |limit| {
        let event = decoder().decode(&charge_failed(limit)).expect("fits").expect("whole");
        let EventKind::ChargeFailed(charge) = event.kind else { panic!("{:?}", event.kind) };
        charge
    };
    let charge = decoded(Limit::Memory);
    assert_eq!(charge.memcg.as_deref(), Some("/pod"));
    assert_eq!(charge.limit_kind, Some(LimitKind::Memory));
    assert_eq!((charge.usage, charge.limit), (Some(288 << 10), Some(292 << 10)));
    assert_eq!((charge.bytes, charge.refusals, charge.errno), (Some(8192), Some(19), 12));
    assert_eq!(decoded(Limit::Kmem).limit_kind, Some(LimitKind::Kmem));
    let stranger = decoded(Limit::Unknown);
    assert_eq!((stranger.memcg, stranger.limit_kind), (None, None), "whose limit is not known");
}

#[test]
fn decodes_the_begin_of_a_stall() {
    let mut record = allocation_failed(9, 0).to_vec();
    record[..4].copy_from_slice(&(Kind::StallBegan as u32).to_ne_bytes());
    let event = decoder().decode(&record.into()).expect("fits").expect("whole");
    assert!(matches!(event.kind, EventKind::StallBegan { order: 6, .. }), "{event:?}");
}
