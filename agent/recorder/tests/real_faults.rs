//! The store on file systems that fill up, break, become read-only and vanish, and under processes that are
//! killed as soon as they started: each fault is said once, and the store goes on without a restart. Each
//! test has a mount namespace of its own.
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use fragwatch_core::{
    fixtures,
    model::{entry::Entry, sample::Sample, trigger::Trigger},
};
use fragwatch_recorder::{
    Options, Recorder,
    store::{
        self, Claim, Severity,
        read::{Item, Reader, segments, verify},
    },
};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

const MAX_SIZE: u64 = 4 << 20;

/// For what takes a second or two.
const DEADLINE: Duration = Duration::from_secs(20);

/// A directory of this test alone.
struct Place(PathBuf);

impl Place {
    /// Runs a test in a thread with mounts of its own.
    fn with(name: &str, test: impl FnOnce(&Place) + Send + 'static) {
        let path = Path::new("/dev/shm").join(format!("fragwatch-{name}-{}", std::process::id()));
        let work = move || {
            let place = Self(path);
            unshare(CloneFlags::CLONE_NEWNS).expect("this needs root");
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("this needs root");
            let _ = fs::remove_dir_all(&place.0);
            fs::create_dir(&place.0).expect("it is writable");
            test(&place);
            fs::remove_dir_all(&place.0).expect("nothing is mounted there any more");
        };
        thread::spawn(work).join().expect("the test holds");
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A directory with a tmpfs of so many bytes.
    fn tmpfs(&self, name: &str, bytes: u64) -> PathBuf {
        let at = self.at(name);
        fs::create_dir(&at).expect("it is writable");
        let size = format!("size={bytes},mode=700");
        mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::empty(), Some(&*size))
            .expect("it can be mounted");
        at
    }
}

/// A recorder, and what it said so far.
struct Running {
    recorder: Recorder,
    said: Vec<(Severity, String)>,
    second: u64,
}

const SECOND: u64 = 1_000_000_000;

impl Running {
    fn open(directory: &Path) -> Self {
        let options =
            store::Options { directory: directory.to_owned(), max_size: MAX_SIZE, min_free: 0 };
        let claim = Claim::new(options).expect("it can be used");
        let opened = Recorder::open(&Options::default(), Some(claim), &fixtures::header(), || {});
        Self { recorder: opened.expect("it opens"), said: Vec::new(), second: 1 }
    }

    /// Records a sample, which is to be written at once.
    fn write(&mut self) {
        let now_ns = self.second * SECOND;
        self.recorder.trigger(Trigger::Signal, now_ns);
        self.recorder.sample(&Sample { time_ns: now_ns, ..Sample::default() });
        self.second += 1;
        self.listen();
    }

    fn listen(&mut self) {
        let notices = self.recorder.take_notices();
        self.said.extend(notices.into_iter().map(|notice| (notice.severity, notice.text)));
    }

    /// Writes until something is said of that severity.
    fn write_until(&mut self, severity: Severity) {
        let began = Instant::now();
        let before = self.said.len();
        while !self.said[before..].iter().any(|(said, _)| *said == severity) {
            assert!(began.elapsed() < DEADLINE, "{severity:?} was not said: {:?}", self.said);
            for _ in 0..20 {
                self.write();
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// It failed, was mended, and each was said once; every sample since `from` is there.
    fn end(mut self, directory: &Path, error: &str, from: u64) {
        let last = self.second - 1;
        self.listen();
        let warnings: Vec<&String> = self
            .said
            .iter()
            .filter(|(severity, _)| *severity == Severity::Warning)
            .map(|(_, text)| text)
            .collect();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(warnings[0].contains("could not write to the store"), "{warnings:#?}");
        assert!(warnings[0].contains(error), "{warnings:#?}");
        let again = self.said.iter().filter(|(_, text)| text.contains("is written again"));
        assert_eq!(again.count(), 1, "{:#?}", self.said);
        self.recorder.close(DEADLINE).expect("all is written");
        let samples = samples(directory);
        let missing: Vec<u64> = (from..=last).filter(|second| !samples.contains(second)).collect();
        assert!(missing.is_empty(), "{missing:?} of {last}");
        assert!(bytes_on_disk(directory) <= MAX_SIZE);
    }
}

/// The seconds of all samples.
fn samples(directory: &Path) -> Vec<u64> {
    let mut reader = Reader::open(directory).expect("it is a store");
    let mut seconds = Vec::new();
    while let Some(item) = reader.next_item() {
        match item {
            Item::Entry(entry) => {
                if let Entry::Sample(sample) = *entry {
                    seconds.push(sample.time_ns / SECOND);
                }
            }
            Item::Run(_) => {}
            Item::Damaged(text) => panic!("{text}"),
        }
    }
    seconds
}

fn bytes_on_disk(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).expect("it can be listed").flatten().map(|e| e.path());
    files
        .map(|path| match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => bytes_on_disk(&path),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// Takes all that is free on a file system.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("it is writable");
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[test]
#[ignore = "mounts file systems, as root; run by cargo xtask test"]
fn a_full_disk_is_waited_for() {
    Place::with("full", |place| {
        let disk = place.tmpfs("disk", 2 << 20);
        let store = disk.join("store");
        let mut running = Running::open(&store);
        running.write();
        fill(&disk.join("filler"));
        running.write_until(Severity::Warning);
        fs::remove_file(disk.join("filler")).expect("it is there");
        running.write_until(Severity::Info);
        running.end(&store, "too little space is free", 1);
        umount2(&disk, MntFlags::MNT_DETACH).expect("it is mounted");
    });
}

/// A disk image with ext4, mounted.
struct Image {
    file: PathBuf,
    mounted: PathBuf,
}

const IMAGE_BYTES: u64 = 16 << 20;

impl Image {
    fn make(place: &Place, features: &str) -> Self {
        let image = Self { file: place.at("image"), mounted: place.at("disk") };
        image.resize(IMAGE_BYTES);
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F", "-O", features]).arg(&image.file);
        assert!(mkfs.status().expect("mkfs.ext4 is installed").success());
        fs::create_dir(&image.mounted).expect("it is writable");
        image.mount();
        image
    }

    fn resize(&self, bytes: u64) {
        let file = File::options().create(true).truncate(false).write(true).open(&self.file);
        file.and_then(|file| file.set_len(bytes)).expect("it is writable");
    }

    fn mount(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop,errors=continue"]).arg(&self.file).arg(&self.mounted);
        assert!(mount.status().expect("there is mount").success());
    }

    fn unmount(&self) {
        umount2(&self.mounted, MntFlags::empty()).expect("nothing uses it");
    }

    /// Makes the device as large as the image is now: what lies beyond can't be read or written.
    fn take_size(&self) {
        let loops =
            Command::new("losetup").args(["-n", "-O", "NAME", "-j"]).arg(&self.file).output();
        let loops = loops.expect("there is losetup").stdout;
        let device = String::from_utf8_lossy(&loops).trim().to_owned();
        let status = Command::new("losetup").args(["--set-capacity", &device]).status();
        assert!(status.expect("there is losetup").success(), "{device}");
    }
}

#[test]
#[ignore = "mounts file systems, as root; run by cargo xtask test"]
fn a_disk_with_io_errors_is_waited_for() {
    Place::with("eio", |place| {
        let image = Image::make(place, "^has_journal");
        let store = image.mounted.join("store");
        let mut running = Running::open(&store);
        running.write();
        sleep(Duration::from_millis(500));
        image.resize(64 << 10);
        image.take_size();
        running.write_until(Severity::Warning);
        image.resize(IMAGE_BYTES);
        image.take_size();
        running.write_until(Severity::Info);
        running.end(&store, "Input/output error", 1);
        image.unmount();
    });
}

/// What ext4 does after an error; only an unmount ends it, before which `serve` must end.
#[test]
#[ignore = "mounts file systems, as root; run by cargo xtask test"]
fn a_file_system_that_the_kernel_makes_read_only_is_said_once() {
    Place::with("ro", |place| {
        let image = Image::make(place, "has_journal");
        let store = image.mounted.join("store");
        let mut running = Running::open(&store);
        running.write();
        // Samples are on disk after five seconds.
        sleep(Duration::from_secs(6));
        let mut abort = Command::new("mount");
        abort.args(["-o", "remount,abort"]).arg(&image.mounted);
        // It says whether the file system is writable now.
        let _ = abort.status().expect("there is mount");
        running.write_until(Severity::Warning);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) {
            running.write();
            sleep(Duration::from_millis(1));
        }
        assert_eq!(running.said.len(), 1, "{:#?}", running.said);
        assert!(running.said[0].1.contains("Read-only file system"), "{:#?}", running.said);
        let status = running.recorder.store().expect("there is one");
        assert!(status.failing && status.errors.read_only > 0, "{status:?}");
        assert!(running.recorder.close(DEADLINE).is_err());
        image.unmount();
        let mut fsck = Command::new("fsck.ext4");
        fsck.args(["-p", "-f"]).arg(&image.file).stdout(Stdio::null());
        fsck.status().expect("fsck.ext4 is installed");
        image.mount();
        let mut running = Running::open(&store);
        running.second = 1_000_000;
        running.write();
        running.recorder.close(DEADLINE).expect("all is written");
        let samples = samples(&store);
        assert!(samples.contains(&1) && samples.contains(&1_000_000), "{samples:?}");
        image.unmount();
    });
}

#[test]
#[ignore = "mounts file systems, as root; run by cargo xtask test"]
fn a_directory_that_vanishes_is_made_again() {
    Place::with("vanished", |place| {
        let store = place.at("store");
        let mut running = Running::open(&store);
        running.write();
        sleep(Duration::from_millis(200));
        fs::remove_dir_all(&store).expect("it is there");
        let from = running.second;
        running.write_until(Severity::Warning);
        running.write_until(Severity::Info);
        running.end(&store, "No such file or directory", from);
    });
}

/// Names and headers of segments have the time of day; what is deleted is decided by their order alone.
#[test]
#[ignore = "takes seconds; run by cargo xtask test"]
fn a_clock_that_is_set_back_and_forth_deletes_nothing() {
    const YEAR_NS: i64 = 365 * 86_400 * 1_000_000_000;
    Place::with("clock", |place| {
        let store = place.at("store");
        for offset in [0, YEAR_NS, -YEAR_NS, 0, -30 * YEAR_NS] {
            let mut running = Running::open(&store);
            running.second = samples(&store).last().map_or(1, |last| last + 1);
            for change in [0, YEAR_NS, -YEAR_NS] {
                let realtime_offset_ns = fixtures::header().realtime_offset_ns + offset + change;
                running.recorder.entry(&Entry::Clock { realtime_offset_ns });
                running.write();
            }
            running.recorder.close(DEADLINE).expect("all is written");
        }
        let mut found = samples(&store);
        found.sort_unstable();
        assert_eq!(found, (1..=15).collect::<Vec<u64>>());
        for segment in segments(&store).expect("it is a store") {
            let report = verify(&store, &segment).expect("it can be read");
            assert!(report.problems.is_empty(), "{report:?}");
        }
    });
}

#[test]
#[ignore = "starts a thousand processes; run by cargo xtask test"]
fn a_crash_loop_of_a_thousand_starts_stays_within_the_limit() {
    Place::with("loop", |place| {
        let store = place.at("store");
        for round in 0..1000 {
            let mut child = Command::new(std::env::current_exe().expect("it has a path"))
                .args(["--ignored", "--exact", "--nocapture", "writes_until_it_is_killed"])
                .env("FRAGWATCH_TEST_STORE", &store)
                .stdout(Stdio::piped())
                .spawn()
                .expect("it can be started");
            let mut output = child.stdout.take().expect("it is piped");
            // It writes a line when the store is open.
            let mut seen = Vec::new();
            let mut byte = [0];
            while !seen.ends_with(b"open\n") && output.read(&mut byte).is_ok_and(|read| read == 1) {
                seen.push(byte[0]);
            }
            assert!(seen.ends_with(b"open\n"), "round {round}: {}", String::from_utf8_lossy(&seen));
            sleep(Duration::from_millis(round % 5));
            child.kill().expect("it can be killed");
            child.wait().expect("it can be waited for");
            assert!(bytes_on_disk(&store) <= MAX_SIZE, "round {round}");
        }
        assert!(samples(&store).len() > 100, "the test shows nothing");
        for segment in segments(&store).expect("it is a store") {
            let report = verify(&store, &segment).expect("it can be read");
            assert!(report.problems.is_empty(), "{report:?}");
        }
    });
}

#[test]
#[ignore = "it is what another test kills"]
fn writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os("FRAGWATCH_TEST_STORE") else { return };
    let mut running = Running::open(Path::new(&directory));
    println!("open");
    loop {
        running.write();
        sleep(Duration::from_micros(200));
    }
}
