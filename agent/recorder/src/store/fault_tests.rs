//! The store on a file system that fails and forgets, against what it was given.
use std::{
    collections::{BTreeSet, HashMap},
    io,
};

use fragwatch_core::{
    fixtures,
    model::{entry::Entry, event::CgroupPath, sample::Sample},
};

use super::{
    Lane, Options, Payload, Record,
    fake_disk::{End, FakeDisk, Random},
    queue::Shared,
    read::{Item, Merge},
    segments::Segments,
    to_json,
    worker::Worker,
};
use crate::{packed::Packed, ring::Ring};

/// Samples in the ring: few, so that some that wait are overwritten.
const RING: usize = 8;

/// Small, so that much is sealed and deleted.
const MAX_SIZE: u64 = 128 << 10;

/// So large that nothing is deleted.
const LARGE: u64 = 16 << 20;

/// A store on a fake disk, and what it was given.
struct Rig {
    shared: Shared,
    worker: Worker<FakeDisk>,
    sequence: u64,
    random: Random,
    given: HashMap<u64, Lane>,
    /// Those that the store said are on disk.
    synced: BTreeSet<u64>,
}

impl Rig {
    fn open(disk: &FakeDisk, seed: u64) -> Self {
        Self::open_sized(disk, seed, MAX_SIZE)
    }

    fn open_sized(disk: &FakeDisk, seed: u64, max_size: u64) -> Self {
        let options = Options { directory: "/fake".into(), max_size, min_free: 0 };
        let opened = Segments::open(disk.clone(), &options, &fixtures::header());
        let (segments, _) = opened.expect("a store always opens");
        Self {
            sequence: segments.first_sequence(),
            worker: Worker::new(segments),
            shared: Shared::new(Ring::new(RING)),
            random: Random::new(seed),
            given: HashMap::new(),
            synced: BTreeSet::new(),
        }
    }

    /// Hands a record over.
    fn give(&mut self, lane: Lane) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.given.insert(sequence, lane);
        if lane == Lane::Samples {
            let sample = Packed::from(&Sample { time_ns: sequence, ..Sample::default() });
            self.shared.put_sample(&sample, Some(sequence));
            return;
        }
        let long = self.random.below(20) == 0;
        let kind = "x".repeat(self.random.below(if long { 3000 } else { 300 }) as usize);
        let entry = Entry::Cgroup { id: sequence, path: CgroupPath::parse(&kind) };
        let payload = Payload::Json(to_json(&entry).expect("it is JSON"));
        self.shared.lock().put(Record { lane, sequence, payload });
    }

    fn step(&mut self, all: bool) -> bool {
        let done = self.worker.step(&self.shared, all).is_ok();
        self.worker.publish(&self.shared, "/fake", &Ok(()));
        if done {
            let on_disk = self.given.iter().filter(|(_, lane)| all || **lane == Lane::Incidents);
            self.synced.extend(on_disk.map(|(sequence, _)| *sequence));
        }
        done
    }

    fn waiting(&self) -> BTreeSet<u64> {
        self.shared.lock().waiting_numbers().collect()
    }
}

/// What can be read, by lane; an entry is in one lane here.
fn readable(disk: &FakeDisk) -> BTreeSet<u64> {
    let mut merge = Merge::open(disk).expect("it can be listed");
    let mut found = BTreeSet::new();
    while let Some(item) = merge.next_item() {
        match item {
            Item::Entry(entry) => match *entry {
                Entry::Cgroup { id, .. } => assert!(found.insert(id), "{id} comes twice"),
                Entry::Sample(sample) => assert!(found.insert(sample.time_ns)),
                other => panic!("{other:?} was never given"),
            },
            Item::Run(_) => {}
            Item::Damaged(text) => panic!("{text}"),
        }
    }
    found
}

/// Of what must be there, what is missing, although something older of the same lane is there: so it was
/// not deleted for its age.
fn lost(must: &BTreeSet<u64>, found: &BTreeSet<u64>, lanes: &HashMap<u64, Lane>) -> Vec<u64> {
    let oldest = |lane: Lane| found.iter().find(|sequence| lanes.get(sequence) == Some(&lane));
    must.iter()
        .filter(|sequence| !found.contains(sequence))
        .filter(|sequence| {
            let lane = lanes[*sequence];
            oldest(lane).is_none_or(|oldest| oldest < *sequence)
        })
        .copied()
        .collect()
}

const ROUNDS: u64 = 10_000;

#[test]
fn ten_thousand_kills_lose_at_most_one_sample_and_no_synced_incident() {
    let disk = FakeDisk::new(7);
    let mut random = Random::new(11);
    let mut lanes = HashMap::new();
    // What the kernel has, and of that what is on disk: they must be there until they are too old.
    let mut written = BTreeSet::new();
    let mut synced = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut rig = Rig::open(&disk, round);
        disk.end_after(random.below(60));
        while !disk.ended() {
            let lane = Lane::ALL[random.below(3) as usize];
            rig.give(lane);
            rig.step(random.below(8) == 0);
        }
        let end = if random.below(3) == 0 { End::Machine } else { End::Process };
        let waiting = rig.waiting();
        lanes.extend(rig.given.clone());
        written.extend(rig.given.keys().filter(|sequence| !waiting.contains(sequence)));
        synced.extend(&rig.synced);
        if end == End::Machine {
            written.clone_from(&synced);
        }
        disk.restart(end);
        // Reading all takes most of the time.
        if round % 8 == 0 {
            let found = readable(&disk);
            let missing = lost(&written, &found, &lanes);
            assert!(missing.is_empty(), "round {round}, {end:?}: {missing:?}");
            if end == End::Process {
                // Each step wrote one record: the one that the kill hit may be missing, not more.
                let missing = rig.given.keys().filter(|sequence| !found.contains(sequence));
                assert!(missing.count() <= 1, "round {round}: records were not written");
            }
            written.retain(|sequence| found.contains(sequence));
            synced.retain(|sequence| found.contains(sequence));
        }
        assert!(disk.peak() <= MAX_SIZE, "round {round}: {} bytes", disk.peak());
    }
    assert!(disk.cost() > MAX_SIZE / 4, "the store was never full: the test shows nothing");
}

#[test]
fn a_crash_loop_of_a_thousand_starts_stays_within_the_limit() {
    let disk = FakeDisk::new(3);
    for round in 0..1000 {
        let mut rig = Rig::open(&disk, round);
        for _ in 0..20 {
            rig.give(Lane::Creations);
        }
        rig.give(Lane::Incidents);
        assert!(rig.step(false));
        assert!(disk.peak() <= MAX_SIZE);
    }
    let found = readable(&disk);
    assert!(found.len() > 100, "{} entries", found.len());
}

#[test]
fn a_flood_of_creations_displaces_no_incident() {
    let disk = FakeDisk::new(5);
    let mut rig = Rig::open(&disk, 5);
    for _ in 0..20 {
        rig.give(Lane::Incidents);
    }
    assert!(rig.step(true));
    let incidents: BTreeSet<u64> = rig.given.keys().copied().collect();
    for _ in 0..2000 {
        for _ in 0..20 {
            rig.give(Lane::Creations);
        }
        assert!(rig.step(false));
    }
    assert!(incidents.is_subset(&readable(&disk)));
    assert!(disk.peak() <= MAX_SIZE);
    // The control: older creations were displaced.
    assert!(readable(&disk).len() < rig.given.len() / 2);
}

/// Runs steps until the store writes again.
fn recover(rig: &mut Rig) {
    assert!((0..10).any(|_| rig.step(true)), "the store is not written again");
    assert!(rig.waiting().is_empty());
}

#[test]
fn a_full_disk_is_waited_for() {
    let disk = FakeDisk::new(9);
    let mut rig = Rig::open_sized(&disk, 9, LARGE);
    rig.give(Lane::Incidents);
    assert!(rig.step(true));
    disk.set_capacity(disk.cost());
    for lane in [Lane::Incidents, Lane::Creations, Lane::Samples].repeat(30) {
        rig.give(lane);
        rig.step(true);
    }
    assert!(!rig.waiting().is_empty());
    disk.set_capacity(1 << 40);
    recover(&mut rig);
    let all = rig.given.keys().copied().collect();
    assert!(lost(&all, &readable(&disk), &rig.given).is_empty());
}

#[test]
fn a_file_system_that_became_read_only_is_waited_for() {
    let disk = FakeDisk::new(13);
    let mut rig = Rig::open_sized(&disk, 13, LARGE);
    rig.give(Lane::Samples);
    assert!(rig.step(true));
    disk.set_read_only(true);
    for lane in Lane::ALL.repeat(20) {
        rig.give(lane);
        assert!(!rig.step(true));
    }
    disk.set_read_only(false);
    recover(&mut rig);
    assert_eq!(readable(&disk).len(), rig.given.len());
}

#[test]
fn a_directory_that_vanishes_costs_what_was_in_it() {
    let disk = FakeDisk::new(17);
    let mut rig = Rig::open(&disk, 17);
    rig.give(Lane::Incidents);
    assert!(rig.step(true));
    disk.vanish();
    rig.give(Lane::Incidents);
    rig.step(true);
    recover(&mut rig);
    let newest = rig.sequence - 1;
    assert!(readable(&disk).contains(&newest));
}

#[test]
fn random_errors_lose_nothing() {
    for seed in 0..100 {
        let disk = FakeDisk::new(seed);
        let mut rig = Rig::open_sized(&disk, seed, LARGE);
        let mut random = Random::new(seed + 1);
        disk.set_faults(random.below(150));
        for _ in 0..150 {
            rig.give(Lane::ALL[random.below(3) as usize]);
            rig.step(random.below(4) == 0);
            assert!(disk.peak() <= LARGE, "seed {seed}: {} bytes", disk.peak());
        }
        disk.set_faults(0);
        recover(&mut rig);
        let found = readable(&disk);
        assert_eq!(found.len(), rig.given.len(), "seed {seed}");
    }
}

#[test]
fn a_sync_that_failed_is_not_believed() {
    let mut failed = 0;
    for seed in 0..60 {
        let disk = FakeDisk::new(seed);
        let mut rig = Rig::open_sized(&disk, seed, LARGE);
        disk.set_faults(60);
        for lane in Lane::ALL.repeat(20) {
            rig.give(lane);
            failed += u32::from(!rig.step(true));
        }
        let synced = rig.synced.clone();
        disk.set_faults(0);
        disk.restart(End::Machine);
        let missing: Vec<u64> = synced.difference(&readable(&disk)).copied().collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?}");
    }
    assert!(failed > 100, "{failed}: the test shows nothing");
}

#[test]
fn a_failure_that_comes_and_goes_is_said_once() {
    let mut rig = Rig::open(&FakeDisk::new(1), 1);
    for _ in 0..100 {
        let full = Err(io::Error::from(io::ErrorKind::StorageFull));
        rig.worker.publish(&rig.shared, "/fake", &full);
        rig.worker.publish(&rig.shared, "/fake", &Ok(()));
    }
    let mut state = rig.shared.lock();
    assert_eq!(state.status.errors.full, 100);
    let texts: Vec<String> = state.take_notices().into_iter().map(|notice| notice.text).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("could not write") && texts[1].contains("written again"));
}

#[test]
fn damage_stops_neither_the_writer_nor_the_reader() {
    for seed in 0..100 {
        let disk = FakeDisk::new(seed);
        for round in 0..3 {
            let mut rig = Rig::open_sized(&disk, seed * 3 + round, LARGE);
            for lane in Lane::ALL.repeat(10) {
                rig.give(lane);
            }
            assert!(rig.step(true));
            disk.damage();
        }
        let rig = Rig::open_sized(&disk, seed, LARGE);
        let mut merge = Merge::open(&disk).expect("it can be listed");
        let mut entries = 0;
        while let Some(item) = merge.next_item() {
            entries += u64::from(matches!(item, Item::Entry(_)));
        }
        // Three bits cost three lines, or the rest of three sealed segments.
        assert!(entries >= 60, "seed {seed}: {entries} of 90 entries are left");
        drop(rig);
    }
}
