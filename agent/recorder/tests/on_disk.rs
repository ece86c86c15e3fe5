//! The store on a real file system, with real threads and processes.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use fragwatch_core::{
    correlate::Correlated,
    fixtures,
    model::{entry::Entry, sample::Sample, trigger::Trigger},
};
use fragwatch_recorder::{
    Options, Recorder,
    store::{
        self, Claim, OpenError,
        read::{Item, Reader, segments, verify},
    },
};

/// A directory below one that every Linux keeps in memory, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = Path::new("/dev/shm").join(format!("fragwatch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(directory: &Path) -> Result<Recorder, OpenError> {
    let store = store::Options { directory: directory.to_owned(), max_size: 4 << 20, min_free: 0 };
    Recorder::open(&Options::default(), Some(Claim::new(store)?), &fixtures::header(), || {})
}

fn close(recorder: Recorder) {
    recorder.close(Duration::from_secs(10)).expect("all is written");
}

fn sample(time_ns: u64) -> Sample {
    Sample { time_ns, ..Sample::default() }
}

fn read(directory: &Path) -> Vec<Entry> {
    let mut reader = Reader::open(directory).expect("it is a store");
    let mut entries = Vec::new();
    while let Some(item) = reader.next_item() {
        match item {
            Item::Entry(entry) => entries.push(*entry),
            Item::Run(_) => {}
            Item::Damaged(text) => panic!("{text}"),
        }
    }
    entries
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_failure_is_stored_with_the_samples_around_it() {
    let directory = Directory::new("failure");
    let mut recorder = open(&directory.0).expect("it opens");
    for second in 1..=100 {
        recorder.sample(&sample(second * SECOND));
    }
    let event = |kind| Entry::Event(fixtures::at(Some(fixtures::KEY), 1, kind));
    let entries = [event(fixtures::entered()), event(fixtures::ended(Some(12)))];
    for entry in &entries {
        recorder.entry(entry);
    }
    let step = Correlated::CreationStep(Box::new(fixtures::failed_creation()));
    recorder.completed(&[step], 100 * SECOND);
    for second in 101..=200 {
        recorder.sample(&sample(second * SECOND));
    }
    close(recorder);
    let found = read(&directory.0);
    let mut times: Vec<u64> = found
        .iter()
        .filter_map(|entry| match entry {
            Entry::Sample(sample) => Some(sample.time_ns / SECOND),
            _ => None,
        })
        .collect();
    // One a minute is written at once, the others before the failure with it, and the minute after it.
    assert_eq!(times[..2], [1, 61]);
    times.sort_unstable();
    assert_eq!(times, (1..160).collect::<Vec<u64>>());
    let events = found.iter().filter(|entry| matches!(entry, Entry::Event(_)));
    assert_eq!(events.count(), entries.len());
    let trigger = Entry::Trigger { time_ns: 100 * SECOND, reason: Trigger::Creation };
    assert!(found.contains(&trigger));
}

#[test]
fn an_incident_is_on_disk_within_a_second() {
    let directory = Directory::new("second");
    let mut recorder = open(&directory.0).expect("it opens");
    recorder.trigger(Trigger::Signal, 5);
    let began = Instant::now();
    let expected = Entry::Trigger { time_ns: 5, reason: Trigger::Signal };
    while !read(&directory.0).contains(&expected) {
        assert!(began.elapsed() < Duration::from_secs(1));
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_store_has_one_writer() {
    let directory = Directory::new("lock");
    let recorder = open(&directory.0).expect("it opens");
    assert!(matches!(open(&directory.0), Err(OpenError::Locked(_))));
    close(recorder);
    // The control: it is free again.
    close(open(&directory.0).expect("it opens"));
}

#[test]
fn what_is_no_store_is_refused_in_a_sentence() {
    let refusal = |directory: &Path| match open(directory) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    };
    let directory = Directory::new("refused");
    assert!(refusal(&directory.0.join("not/there")).contains("No such file"));
    fs::create_dir(&directory.0).expect("it can be created");
    let file = directory.0.join("file");
    fs::write(&file, "").expect("it can be written");
    assert!(refusal(&file).contains("no directory"));
    let linked = directory.0.join("linked");
    fs::create_dir(&linked).expect("it can be created");
    symlink("/etc/passwd", linked.join("lock")).expect("it can be linked");
    assert!(refusal(&linked).contains("symbolic link"));
    let lanes = directory.0.join("lanes");
    fs::create_dir(&lanes).expect("it can be created");
    symlink("/tmp", lanes.join("incidents")).expect("it can be linked");
    assert!(refusal(&lanes).contains("symbolic link"));
    let small = store::Options { directory: lanes, max_size: 1, min_free: 0 };
    assert!(Claim::new(small).is_err_and(|error| error.to_string().contains("too small")));
}

#[test]
fn fifty_kills_leave_a_store_without_a_gap() {
    let directory = Directory::new("kill");
    let mut entries = 0;
    for round in 0..50u64 {
        let mut child = Command::new(std::env::current_exe().expect("it has a path"))
            .args(["--ignored", "--exact", "writes_until_it_is_killed"])
            .env("FRAGWATCH_TEST_STORE", &directory.0)
            .stdout(Stdio::null())
            .spawn()
            .expect("it can be started");
        sleep(Duration::from_millis(30 + round * 7 % 50));
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
        if !directory.0.join("incidents").exists() {
            continue;
        }
        let found = read(&directory.0);
        let mut run = 0;
        for entry in &found {
            let Entry::Sample(sample) = entry else { continue };
            assert!(
                sample.time_ns == run + 1 || sample.time_ns == 1,
                "after {run} of round {round}"
            );
            run = sample.time_ns;
        }
        assert!(found.len() >= entries, "round {round}");
        entries = found.len();
        for segment in segments(&directory.0).expect("it is a store") {
            let report = verify(&directory.0, &segment).expect("it can be read");
            assert!(report.problems.is_empty(), "{}: {report:?}", segment.path.display());
        }
    }
    assert!(entries > 100, "{entries}: the test shows nothing");
}

#[test]
#[ignore = "it is what another test kills"]
fn writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os("FRAGWATCH_TEST_STORE") else { return };
    let mut recorder = open(Path::new(&directory)).expect("it always opens");
    recorder.trigger(Trigger::Signal, 0);
    for time_ns in 1.. {
        recorder.sample(&sample(time_ns));
        sleep(Duration::from_micros(500));
    }
}
