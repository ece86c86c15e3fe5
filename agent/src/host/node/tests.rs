//! Facts from files of real kernels, and how often they are read.
use std::{
    fs,
    path::{Path, PathBuf},
};

use fragwatch_core::{
    fixtures::facts,
    model::node::{MemoryCgroups, Reading},
};

use super::*;

/// The root directory of files copied from a real node.
pub(crate) fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/nodes").join(name)
}

fn read(name: &str) -> NodeFacts {
    let facts = super::read(&root(name));
    NodeFacts { time_ns: 0, took_ns: 0, ..facts }
}

#[test]
fn a_node_with_v1_cgroups_is_read() {
    insta::assert_debug_snapshot!(read("6.18-v1"));
}

#[test]
fn missing_files_leave_facts_empty() {
    assert_eq!(read("no-such-node"), NodeFacts::default());
}

/// A root directory with given files, removed when dropped.
struct FakeRoot(PathBuf);

impl FakeRoot {
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

impl Drop for FakeRoot {
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
    let root = FakeRoot::new("v2", &[V2, PROC_CGROUPS, ("sys/fs/cgroup/cgroup.stat", stat)]);
    let expected = MemoryCgroups { count: 37, dying: Some(6), at_most: false };
    assert_eq!(cgroups::read(&root.0), Some(expected));
    assert_eq!(expected.alive(), 31);
}

#[test]
fn memory_cgroups_of_a_v2_node_before_6_12() {
    let stat = "nr_descendants 40\nnr_dying_descendants 7\n";
    let root = FakeRoot::new("v2-old", &[V2, PROC_CGROUPS, ("sys/fs/cgroup/cgroup.stat", stat)]);
    let expected = MemoryCgroups { count: 48, dying: Some(7), at_most: true };
    assert_eq!(cgroups::read(&root.0), Some(expected));
}

#[test]
fn memory_cgroups_seen_from_a_container() {
    let files = [
        V2,
        PROC_CGROUPS,
        ("sys/fs/cgroup/cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
        ("sys/fs/cgroup/cgroup.events", "populated 1\n"),
    ];
    let root = FakeRoot::new("contained", &files);
    let expected = MemoryCgroups { count: 41, dying: None, at_most: true };
    assert_eq!(cgroups::read(&root.0), Some(expected));
}

#[test]
fn malformed_files_are_ignored() {
    let root = FakeRoot::new(
        "odd",
        &[
            ("proc/meminfo", "MemFree\nMemTotal: x kB\n: 3\n"),
            ("proc/zoneinfo", "pages free 3\nNode x, zone A\nNode 0, zone\n  managed 9\n  min\n"),
            ("proc/buddyinfo", "Node 0, zone\nNode 0, zone B 1 2\nzone\n"),
            ("proc/cgroups", "memory\t1\n"),
            ("proc/sys/vm/zone_reclaim_mode", "-\n"),
        ],
    );
    assert_eq!(NodeFacts { time_ns: 0, took_ns: 0, ..super::read(&root.0) }, NodeFacts::default());
}

#[test]
fn the_slab_directorys_link_count_is_the_number_of_caches() {
    let directories = || {
        let entries = fs::read_dir("/sys/kernel/slab").ok()?;
        Some(entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).count() as u64)
    };
    // Caches are created and removed meanwhile, so only equal counts before and after are compared.
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
fn the_age_of_facts_is_described_relative_to_the_failure() {
    let facts = facts(2_000_000_000);
    let of = |ns| Reading::of(&facts, ns).map(|reading| reading.when());
    assert_eq!(of(1_988_000_000).as_deref(), Some("12.0 ms later"));
    assert_eq!(of(2_000_000_000).as_deref(), Some("0 µs later"));
    assert_eq!(of(2_500_000_000).as_deref(), Some("500.0 ms before it"));
    assert_eq!(of(3_000_000_001), None);
}

/// A source that responds at once, or not if `stuck`; the test sets the clock.
#[derive(Default)]
struct FakeSource {
    reads: u32,
    stuck: bool,
    arrived: Option<NodeFacts>,
    now_ns: u64,
}

impl ReadFacts for &mut FakeSource {
    fn request(&mut self) {
        self.reads += 1;
        if !self.stuck {
            self.arrived = Some(facts(self.now_ns));
        }
    }

    fn take(&mut self) -> Option<NodeFacts> {
        self.arrived.take()
    }
}

#[test]
fn many_failures_cause_one_read_a_second() {
    let mut source = FakeSource::default();
    let mut cache = Cache::new(&mut source);
    let mut new = 0;
    for ms in 0..10_000 {
        let now_ns = ms * 1_000_000;
        cache.source.now_ns = now_ns;
        let is_requested = cache.request(now_ns);
        assert_eq!(cache.take(now_ns).is_some(), is_requested);
        new += u32::from(is_requested);
    }
    assert_eq!((new, source.reads), (10, 10));
}

#[test]
fn a_stuck_source_is_asked_once_a_second_and_not_waited_for() {
    let mut source = FakeSource { stuck: true, ..FakeSource::default() };
    let mut cache = Cache::new(&mut source);
    let waits = (0..3_000).filter(|ms| cache.request(ms * 1_000_000)).count();
    assert_eq!(waits, 3 * 30, "reports of the first 30 ms wait");
    assert_eq!(cache.take(2_999_000_000), None);
    assert_eq!(cache.source.reads, 3);
    // A late result is used as soon as it is there.
    cache.source.arrived = Some(facts(2_900_000_000));
    assert!(cache.take(3_000_000_000).is_some());
    assert!(!cache.request(3_500_000_000), "the facts are recent");
    // A late result that is too old is not used.
    cache.source.arrived = Some(facts(3_600_000_000));
    assert_eq!(cache.take(5_000_000_000), None);
}

#[test]
fn the_reading_thread_returns_facts() {
    let mut thread = ReadingThread::start().expect("a thread can be started");
    thread.request();
    // On a busy machine they may be late.
    let found = (0..2000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        thread.take()
    });
    assert!(found.is_some_and(|facts| facts.memory.is_some()));
}
