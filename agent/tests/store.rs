//! `replay` and `capture` on a store that was written as `serve` writes it.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use fragwatch_core::{
    correlate::Correlated,
    model::{
        entry::{Entry, Header},
        sample::{Sample, SampleZone},
        step::Outcome,
    },
};
use fragwatch_recorder::{Options, Recorder, store};

/// A store in a directory that every Linux keeps in memory, removed when dropped.
struct Store(PathBuf);

impl Drop for Store {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The time between samples, in nanoseconds: the fixture's machine was young.
const PERIOD: u64 = 50_000_000;

impl Store {
    /// A store with two runs of `serve`: a quiet one, and one in which the creation of a fixture failed,
    /// with samples before it.
    fn new(name: &str) -> Self {
        let path = Path::new("/dev/shm").join(format!("fragwatch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        let store = Self(path);
        let (header, entries) = capture();
        store.run(&header, |recorder| {
            recorder.entry(&Entry::End { outside: None, creations: None });
        });
        store.run(&header, |recorder| fail(recorder, &header, entries));
        store
    }

    fn run(&self, header: &Header, work: impl FnOnce(&mut Recorder)) {
        let store = store::Options { directory: self.0.clone(), max_size: 4 << 20, min_free: 0 };
        let claim = store::Claim::new(store).expect("it is ours");
        let opened = Recorder::open(&Options::default(), Some(claim), header, || {});
        let mut recorder = opened.expect("it opens");
        work(&mut recorder);
        recorder.close(Duration::from_secs(10)).expect("all is written");
    }

    fn command(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fragwatch"));
        command.args(args).arg(&self.0).env("TZ", "UTC").output().expect("the binary was built")
    }

    /// The text that a command prints.
    #[track_caller]
    fn text(&self, args: &[&str]) -> String {
        let output = self.command(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        String::from_utf8(output.stdout).expect("it is UTF-8")
    }
}

/// A capture of a failure.
fn capture() -> (Header, Vec<Entry>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join("../tests/fixtures/captures/6.12-order6.jsonl");
    let text = fs::read_to_string(path).expect("the fixture is there");
    let mut lines = text.lines();
    let header = serde_json::from_str(lines.next().unwrap_or_default()).expect("a header");
    let entries = lines.map(|line| serde_json::from_str(line).expect("an entry")).collect();
    (header, entries)
}

/// What `serve` does when something fails.
fn fail(recorder: &mut Recorder, header: &Header, entries: Vec<Entry>) {
    let mut correlator = fragwatch_core::correlate::Correlator::new(false, true, 4096);
    let is_trouble = |one: &Correlated| match one {
        Correlated::CreationStep(step) => step.outcome() == Outcome::Failed,
        Correlated::Incident(_) => false,
    };
    let mut completed = Vec::new();
    let mut sampled = false;
    for entry in entries {
        if !entry.is_beside() && !completed.is_empty() {
            let now_ns = header_time(&completed);
            recorder.completed(&completed, now_ns);
            completed.clear();
        }
        recorder.entry(&entry);
        if let Entry::Event(event) = entry {
            if !std::mem::replace(&mut sampled, true) {
                for nth in 1..=100 {
                    recorder.sample(&sample(event.time_ns - (100 - nth) * PERIOD));
                }
            }
            completed.extend(correlator.push(event));
            completed.retain(is_trouble);
        }
    }
    assert_eq!(header.page_size, 4096);
}

fn header_time(completed: &[Correlated]) -> u64 {
    completed.iter().filter_map(Correlated::ended_ns).max().unwrap_or_default()
}

fn sample(time_ns: u64) -> Sample {
    let zone = SampleZone {
        node: 0,
        name: "DMA32".to_owned(),
        above_min: 9,
        blocks: vec![60_000, 411, 21, 15, 2, 1],
    };
    Sample { time_ns, zones: vec![zone], ..Sample::default() }
}

#[test]
fn a_store_is_reported_as_the_trace_of_the_same_entries() {
    let store = Store::new("replay");
    let path = "../tests/fixtures/captures/6.12-order6.jsonl";
    let mut of_capture = Command::new(env!("CARGO_BIN_EXE_fragwatch"));
    of_capture.args(["replay", "--format", "json"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let of_capture = of_capture.arg(path).output().expect("the binary was built");
    let of_capture = String::from_utf8(of_capture.stdout).expect("it is UTF-8");
    let of_store = store.text(&["replay", "--format", "json"]);
    let (recordings, others): (Vec<&str>, Vec<&str>) =
        of_store.lines().partition(|line| line.starts_with(r#"{"type":"recording""#));
    assert_eq!(others, of_capture.lines().collect::<Vec<_>>());
    assert_eq!(recordings.len(), 1);
    assert!(recordings[0].contains(r#""trigger":"creation""#), "{recordings:?}");
    let text = store.text(&["replay"]);
    assert!(text.contains(": recorded with ") && text.contains("RECORDED 100 samples"), "{text}");
}

#[test]
fn a_time_without_a_failure_is_quiet() {
    let store = Store::new("window");
    for window in ["--until=2001-01-01", "--since=1h"] {
        let output = store.command(&["replay", window]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.is_empty());
        assert!(stderr.contains("no failure in 2 runs of serve in that time"), "{stderr}");
    }
    // The control.
    assert!(store.text(&["replay", "--since=2001-01-01"]).contains("FAILED"));
}

#[test]
fn a_store_can_be_exported_and_replayed() {
    let store = Store::new("export");
    let file = store.0.with_extension("jsonl");
    let name = file.display().to_string();
    let expected = store.text(&["replay", "--format", "json"]);
    for last in
        [&["capture", "export", "-o", &name][..], &["capture", "export", "--last=15m", "-o", &name]]
    {
        assert_eq!(store.text(last), "");
        let mut replay = Command::new(env!("CARGO_BIN_EXE_fragwatch"));
        let output = replay.args(["replay", "--format", "json", &name]).output();
        let output = output.expect("the binary was built");
        fs::remove_file(&file).expect("it was created");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let replayed = String::from_utf8(output.stdout).expect("it is UTF-8");
        // A capture's quiet runs are reported too.
        assert!(replayed.ends_with(&expected), "{replayed}\n{expected}");
    }
    let shorter = store.text(&["capture", "export", "--last=2s"]);
    let longer = store.text(&["capture", "export"]);
    let samples =
        |text: &str| text.lines().filter(|l| l.starts_with(r#"{"type":"sample""#)).count();
    let (shorter, longer) = (samples(&shorter), samples(&longer));
    assert!((1..60).contains(&shorter) && longer == 100, "{shorter} of {longer}");
}

#[test]
fn a_damaged_store_is_reported_as_far_as_it_goes() {
    let store = Store::new("damage");
    assert!(store.text(&["capture", "list"]).contains("incidents/"));
    assert!(store.text(&["capture", "verify"]).contains("all are as they were written"));
    let lane = store.0.join("samples");
    let file = fs::read_dir(lane).expect("it is there").flatten().next().expect("a segment");
    let mut bytes = fs::read(file.path()).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file.path(), bytes).expect("it can be written");
    let verified = store.command(&["capture", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    let stdout = String::from_utf8_lossy(&verified.stdout);
    assert!(stdout.contains("is damaged") && stdout.contains("1 segments are damaged"), "{stdout}");
    let replayed = store.command(&["replay"]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&replayed.stdout).contains("FAILED"));
    assert!(String::from_utf8_lossy(&replayed.stderr).contains("is damaged"));
}

#[test]
fn a_store_of_another_version_is_refused_in_a_sentence() {
    let store = Store::new("version");
    let (header, _) = capture();
    let lanes = fs::read_dir(&store.0).expect("it is there").flatten();
    for lane in lanes.filter(|entry| entry.path().is_dir()) {
        for file in fs::read_dir(lane.path()).expect("it is there").flatten() {
            fs::remove_file(file.path()).expect("it can be deleted");
        }
    }
    let newer = Header { format_version: header.format_version + 1, ..header };
    let line = serde_json::to_string(&newer).expect("it is JSON");
    fs::write(store.0.join("incidents/0000000001-5.jsonl"), format!("{line}\n")).expect("it can");
    for command in [&["replay"][..], &["capture", "export"]] {
        let output = store.command(command);
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("read them with the version that wrote them"), "{stderr}");
    }
    let nothing = Command::new(env!("CARGO_BIN_EXE_fragwatch")).args(["replay", "/"]).output();
    let nothing = nothing.expect("the binary was built");
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("it is no store"));
}
