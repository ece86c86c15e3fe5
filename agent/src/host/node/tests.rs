//! Facts as files of real kernels have them, and how often they are read.
use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
};

use fragwatch_core::{
    fixtures::facts,
    model::node::{MemoryCgroups, Reading},
};

use super::*;

/// The root of a node's files, as they were on a real kernel.
pub(crate) fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/nodes").join(name)
}

fn read(name: &str) -> NodeFacts {
    let facts = super::read(&root(name));
    NodeFacts { time_ns: 0, took_ns: 0, ..facts }
}

#[test]
fn a_node_with_v1_cgroups() {
    insta::assert_debug_snapshot!(read("6.18-v1"));
}

#[test]
fn what_is_not_there_is_left_out() {
    assert_eq!(read("no-such-node"), NodeFacts::default());
}

/// A root directory of our own making, gone when it is dropped.
struct Made(PathBuf);

impl Made {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("fragwatch-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        }
        Self(root)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const V2: (&str, &str) = ("proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n");
const PROC_CGROUPS: (&str, &str) =
    ("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t41\t1\n");

#[test]
fn memory_cgroups_of_a_v2_node() {
    let stat = "nr_descendants 40\nnr_subsys_cpuset 2\nnr_subsys_memory 31\n\
        nr_dying_descendants 7\nnr_dying_subsys_memory 6\n";
    let made = Made::new("v2", &[V2, PROC_CGROUPS, ("sys/fs/cgroup/cgroup.stat", stat)]);
    let expected = MemoryCgroups { count: 37, dying: Some(6), at_most: false };
    assert_eq!(cgroups::read(&made.0), Some(expected));
    assert_eq!(expected.alive(), 31);
}

#[test]
fn memory_cgroups_of_a_v2_node_before_6_12() {
    let stat = "nr_descendants 40\nnr_dying_descendants 7\n";
    let made = Made::new("v2-old", &[V2, PROC_CGROUPS, ("sys/fs/cgroup/cgroup.stat", stat)]);
    let expected = MemoryCgroups { count: 48, dying: Some(7), at_most: true };
    assert_eq!(cgroups::read(&made.0), Some(expected));
}

#[test]
fn memory_cgroups_seen_from_a_container() {
    let files = [
        V2,
        PROC_CGROUPS,
        ("sys/fs/cgroup/cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
        ("sys/fs/cgroup/cgroup.events", "populated 1\n"),
    ];
    let made = Made::new("contained", &files);
    let expected = MemoryCgroups { count: 41, dying: None, at_most: true };
    assert_eq!(cgroups::read(&made.0), Some(expected));
}

#[test]
fn odd_files_are_no_trouble() {
    let made = Made::new(
        "odd",
        &[
            ("proc/meminfo", "MemFree\nMemTotal: x kB\n: 3\n"),
            ("proc/zoneinfo", "pages free 3\nNode x, zone A\nNode 0, zone\n  managed 9\n  min\n"),
            ("proc/buddyinfo", "Node 0, zone\nNode 0, zone B 1 2\nzone\n"),
            ("proc/cgroups", "memory\t1\n"),
            ("proc/sys/vm/zone_reclaim_mode", "-\n"),
        ],
    );
    assert_eq!(NodeFacts { time_ns: 0, took_ns: 0, ..super::read(&made.0) }, NodeFacts::default());
}

#[test]
fn slab_caches_are_counted_where_the_kernel_counts_them() {
    let directories = || {
        let entries = fs::read_dir("/sys/kernel/slab").ok()?;
        Some(entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).count() as u64)
    };
    // Caches come and go: only where none did meanwhile can the two be compared.
    for _ in 0..20 {
        let (before, counted, after) = (directories(), slab::count(Path::new("/")), directories());
        if before == after {
            assert_eq!(counted, before);
            return;
        }
    }
}

#[test]
fn reading_takes_less_than_5_ms() {
    let took = |_| super::read(Path::new("/")).took_ns;
    let best = (0..20).map(took).min().unwrap_or(u64::MAX);
    assert!(best < 5_000_000, "{best} ns");
    println!("{best} ns");
}

#[test]
fn when_it_was_read_is_told() {
    let facts = facts(2_000_000_000);
    let of = |ns| Reading::of(&facts, ns).map(|reading| reading.when());
    assert_eq!(of(1_988_000_000).as_deref(), Some("12.0 ms later"));
    assert_eq!(of(2_000_000_000).as_deref(), Some("0 µs later"));
    assert_eq!(of(2_500_000_000).as_deref(), Some("500.0 ms before it"));
    assert_eq!(of(3_000_000_001), None);
}

/// Reads at once, or gives up; the clock is the test's.
#[derive(Default)]
struct Played {
    reads: u32,
    /// What each reading comes to; at once, if nothing stands here.
    stuck: bool,
    late: VecDeque<NodeFacts>,
    now_ns: u64,
}

impl Reads for &mut Played {
    fn read(&mut self) -> Option<NodeFacts> {
        self.reads += 1;
        (!self.stuck).then(|| facts(self.now_ns))
    }

    fn late(&mut self) -> Option<NodeFacts> {
        self.late.pop_front()
    }
}

#[test]
fn a_storm_has_them_read_once_a_second() {
    let mut played = Played::default();
    let mut cache = Cache::new(&mut played);
    let mut new = 0;
    for ms in 0..10_000 {
        cache.reads.now_ns = ms * 1_000_000;
        new += u32::from(cache.refresh(ms * 1_000_000).is_some());
    }
    assert_eq!((new, played.reads), (10, 10));
}

#[test]
fn a_reader_that_is_stuck_is_asked_once_a_second() {
    let mut played = Played { stuck: true, ..Played::default() };
    let mut cache = Cache::new(&mut played);
    for ms in 0..3_000 {
        assert_eq!(cache.refresh(ms * 1_000_000), None);
    }
    assert_eq!(cache.reads.reads, 3);
    // What it came to is not waited for, and taken when it is there.
    cache.reads.late.push_back(facts(2_900_000_000));
    assert!(cache.refresh(3_000_000_000).is_some());
    assert_eq!(cache.refresh(3_500_000_000), None, "that was read a moment ago");
    // What is too old by then is not.
    cache.reads.late.push_back(facts(3_600_000_000));
    assert_eq!(cache.refresh(5_000_000_000), None);
}

#[test]
fn the_thread_reads() {
    let mut thread = ReadingThread::start().expect("a thread can be started");
    // On a busy machine it may be late.
    let found = (0..200).find_map(|_| thread.read().or_else(|| thread.late()));
    assert!(found.is_some_and(|facts| facts.memory.is_some()));
}
