//! Captures that are whole, cut, damaged, or none at all.
use std::{
    cell::RefCell,
    io::{self, Read, Write},
    rc::Rc,
};

use fragwatch_core::{
    fixtures::{KEY, at, every_event},
    model::{
        entry::{Entry, FORMAT, FORMAT_VERSION, Header},
        event::CgroupPath,
        hook::{Hook, HookStatus, State},
        identity::{Identity, NamedBy, Query, Reply},
        loss::{CreationCounts, Loss, OutsideCounts},
        open_creation::OpenCreation,
        repeats::{CountedStep, Repeats},
    },
    pipeline::Pipeline,
    report::{Format, Json, Text},
};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

fn header() -> Header {
    Header {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        version: "0.1.0".to_owned(),
        kernel: "6.12.107+deb12-cloud-amd64".to_owned(),
        page_size: 4096,
        all: false,
        hooks: vec![HookStatus {
            hook: Hook::AllocationFailed,
            via: Some("kprobe:warn_alloc".parse().expect("a way to attach")),
            state: State::Attached,
            why: None,
            not_seen: None,
            reasons: Vec::new(),
            attempts: Vec::new(),
        }],
        not_seen: Vec::new(),
        unobservable: Vec::new(),
        sees_failures: true,
        stall_ns: 10_000_000,
        realtime_offset_ns: 1_763_631_755_123_456_789,
    }
}

/// Entries of every kind, and every event inside and outside a creation.
fn entries() -> Vec<Entry> {
    let events = || every_event().into_iter().enumerate();
    let mut entries = vec![Entry::Clock { realtime_offset_ns: -5 }, Entry::Loss(Loss::default())];
    entries.extend(events().map(|(i, event)| Entry::Event(at(Some(KEY), i as u64, event))));
    entries.extend(events().map(|(i, event)| Entry::Event(at(None, 100 + i as u64, event))));
    entries.push(Entry::Node(fragwatch_core::fixtures::facts(1_100_000_000)));
    let known = Identity {
        by: NamedBy::PodLogs,
        runtime: None,
        id: None,
        pod_uid: Some("6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f".to_owned()),
        pod: Some("web-0".to_owned()),
        namespace: Some("default".to_owned()),
        name: None,
    };
    let query =
        Query::Starting { comm: "containerd".to_owned(), pid: Some(812), at_ms: 1_763_631_756_123 };
    let reply = Reply { query, identities: vec![known], last: false };
    entries.push(Entry::Reply { late: false, reply });
    let reply = Reply {
        query: Query::Netns { inode: 4026532115, made_ms: 1 },
        identities: Vec::new(),
        last: true,
    };
    entries.push(Entry::Reply { late: true, reply });
    entries.push(Entry::Cgroup { id: 4711, path: CgroupPath::parse("/a/b") });
    entries.push(Entry::Tick { time_ns: 3_000_000_000 });
    entries.push(Entry::Repeats {
        time_ns: 3_000_000_001,
        repeats: vec![Repeats {
            step: CountedStep::UserNamespace,
            errno: Some(libc::ENOSPC),
            user: Some(1000),
            count: 2914,
            last_ns: 3_000_000_000,
            cgroup_id: 4711,
            pid: 753,
            comm: "unshare".to_owned(),
        }],
    });
    entries.push(Entry::Open {
        time_ns: 12_000_000_000,
        creations: vec![OpenCreation {
            creation: KEY,
            task: at(None, 0, fragwatch_core::fixtures::entered()).task,
            step: CountedStep::Namespaces,
            namespaces: 0x4000_0000,
            stall_ns: 0,
            stack: Some(vec![fragwatch_core::fixtures::frame("copy_net_ns", None)]),
        }],
    });
    let outside = OutsideCounts { slow_paths: 3, ..OutsideCounts::default() };
    let creations = CreationCounts { untroubled: 5, unfinished: 1 };
    entries.push(Entry::End { outside: Some(outside), creations: Some(creations) });
    entries
}

/// An in-memory file that a recorder can own.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(header: &Header, entries: &[Entry]) -> Vec<u8> {
    let memory = Memory::default();
    let mut recorder = Recorder::new(Box::new(memory.clone()), "memory".to_owned(), header);
    for entry in entries {
        recorder.write(entry);
    }
    recorder.flush();
    memory.0.take()
}

fn open(bytes: &[u8]) -> Result<(Header, CaptureReader), CaptureError> {
    CaptureReader::open(Box::new(io::Cursor::new(bytes.to_vec())))
}

/// The entries, the numbers of damaged lines, and whether the last line is truncated.
fn read(mut reader: CaptureReader) -> (Vec<Entry>, Vec<u64>, bool) {
    let (mut entries, mut damaged) = (Vec::new(), Vec::new());
    loop {
        match reader.next_item().expect("memory can be read") {
            CaptureItem::Entry(entry) => entries.push(*entry),
            CaptureItem::Header(header) => panic!("a second header: {header:?}"),
            CaptureItem::Damaged { line, reason } => {
                assert!(!reason.is_empty());
                damaged.push(line);
            }
            CaptureItem::Truncated => return (entries, damaged, true),
            CaptureItem::End => return (entries, damaged, false),
        }
    }
}

#[test]
fn written_entries_are_read_back() {
    let bytes = written(&header(), &entries());
    let (found, reader) = open(&bytes).expect("it is a capture");
    assert_eq!(found, header());
    assert_eq!(read(reader), (entries(), vec![], false));
}

#[test]
fn the_format_does_not_change() {
    let bytes = written(&header(), &entries());
    insta::assert_snapshot!(String::from_utf8(bytes).expect("JSON is UTF-8"));
}

#[test]
fn a_truncated_last_line_is_detected_and_the_rest_is_read() {
    let bytes = written(&header(), &entries());
    let (_, reader) = open(&bytes[..bytes.len() - 10]).expect("it is a capture");
    let (found, damaged, cut) = read(reader);
    assert_eq!((found.len(), damaged, cut), (entries().len() - 1, vec![], true));
    // If only the newline is missing, the entry is valid.
    let (_, reader) = open(&bytes[..bytes.len() - 1]).expect("it is a capture");
    assert_eq!(read(reader), (entries(), vec![], false));
}

#[test]
fn damaged_lines_are_counted_and_the_rest_is_read() {
    let bytes = written(&header(), &entries());
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    let mut lines: Vec<&str> = text.lines().collect();
    let long = "x".repeat(3 << 20);
    lines[2] = "\0\u{1}";
    lines[4] = &long;
    lines[6] = r#"{"type":"later"}"#;
    let (_, reader) = open(lines.join("\n").as_bytes()).expect("it is a capture");
    let (found, damaged, cut) = read(reader);
    assert_eq!((found.len(), damaged, cut), (entries().len() - 3, vec![3, 5, 7], false));
}

#[test]
fn input_that_is_no_capture_is_refused_with_a_reason() {
    let error = |bytes: &[u8]| open(bytes).err().expect("it is no capture").to_string();
    assert!(error(b"").starts_with("it is empty"));
    let long = vec![b'x'; 3 << 20];
    for none in [&b"hello\n"[..], b"\x7fELF\0\0", b"{}\n", b"[1]\n", b"\n\n", &long] {
        assert!(error(none).starts_with("it is no capture"), "{}", error(none));
    }
    let newer = Header { format_version: FORMAT_VERSION + 1, ..header() };
    assert!(error(&written(&newer, &[])).contains("replay it with the version that wrote it"));
    let strange = Header { page_size: 3, ..header() };
    assert!(error(&written(&strange, &[])).contains("3 bytes are no page size"));
    let older = Header { format_version: FORMAT_VERSION - 1, ..header() };
    assert!(
        error(&written(&older, &[])).contains("reads only 4"),
        "{}",
        error(&written(&older, &[]))
    );
    let half = r#"{"format":"fragwatch-capture","format_version":4}"#;
    assert!(error(half.as_bytes()).starts_with("its header is damaged"));
}

#[test]
fn after_a_write_error_nothing_more_is_written() {
    struct Full(Rc<RefCell<u32>>);
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            *self.0.borrow_mut() += 1;
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let tries = Rc::new(RefCell::new(0));
    let mut full = Recorder::new(Box::new(Full(Rc::clone(&tries))), "full".to_owned(), &header());
    for entry in &entries() {
        full.write(entry);
    }
    full.flush();
    // The flush tries once, and dropping the buffer may try again.
    assert!((1..=2).contains(&*tries.borrow()), "{}", tries.borrow());
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let path = std::env::temp_dir().join(format!("fragwatch-capture-{}", std::process::id()));
    let made = Recorder::create(&path, &header());
    assert!(made.is_ok());
    drop(made);
    let permissions = path.metadata().expect("the file was created").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777, 0o600);
    let again = Recorder::create(&path, &header()).err();
    let content = std::fs::read(&path).expect("the file was created");
    std::fs::remove_file(&path).expect("the file was created");
    assert!(again.is_some_and(|error| error.to_string().contains("is left as it is")));
    assert_eq!(content, written(&header(), &[]));
}

#[test]
fn control_characters_are_escaped() {
    let mut event = at(None, 0, every_event().remove(0));
    event.task.comm = "\x1b[2J\u{202e}".to_owned();
    let bytes = written(&header(), &[Entry::Event(event)]);
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    assert!(!text.chars().any(|c| c != '\n' && fragwatch_core::units::is_hostile(c)), "{text}");
}

/// Reports all entries that can be read, as `replay` does.
fn replay(bytes: &[u8], report: impl Format + 'static) {
    let Ok((header, mut reader)) = open(bytes) else { return };
    let mut pipeline = Pipeline::new(header, Box::new(report));
    loop {
        let entry = match reader.next_item().expect("memory can be read") {
            CaptureItem::Entry(entry) => *entry,
            CaptureItem::Header(_) | CaptureItem::Damaged { .. } => {
                pipeline.note_missing_entry();
                continue;
            }
            CaptureItem::Truncated | CaptureItem::End => break,
        };
        let correlated = pipeline.apply(entry).expect("the report takes all");
        pipeline.report(correlated).expect("the report takes all");
    }
    pipeline.summary().expect("the report takes all");
}

/// A number that may replace another one in a capture.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u64>().prop_map(|n| n.to_string()),
        (0u64..70).prop_map(|n| n.to_string()),
        Just(u64::MAX.to_string()),
        Just(u32::MAX.to_string()),
        Just("-1".to_owned()),
        Just("null".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = written(&header(), &entries());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        replay(&bytes, Json::new(io::sink()));
    }

    #[test]
    fn changed_numbers_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), number()), 1..12)) {
        let mut text = String::from_utf8(written(&header(), &entries())).expect("JSON is UTF-8");
        for (at, number) in changes {
            let places: Vec<(usize, usize)> = numbers(&text);
            let (start, end) = places[at.index(places.len())];
            text.replace_range(start..end, &number);
        }
        replay(text.as_bytes(), Json::new(io::sink()));
        replay(text.as_bytes(), Text::new(io::sink(), TimeZone::UTC));
    }

    #[test]
    fn lines_in_any_order_never_panic(order in Just((0..entries().len()).collect::<Vec<_>>()).prop_shuffle()) {
        let shuffled: Vec<Entry> = order.into_iter().map(|i| entries()[i].clone()).collect();
        replay(&written(&header(), &shuffled), Text::new(io::sink(), TimeZone::UTC));
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        replay(&bytes, Json::new(io::sink()));
        let mut after_header = written(&header(), &[]);
        after_header.extend(bytes);
        replay(&after_header, Json::new(io::sink()));
    }
}

/// The byte ranges of numbers in a JSON text: after a colon, a comma or a bracket.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut places = Vec::new();
    let mut at = 1;
    while at < bytes.len() {
        let is_start = bytes[at].is_ascii_digit() && b":,[".contains(&bytes[at - 1]);
        let start = at;
        at += 1;
        if is_start {
            while at < bytes.len() && bytes[at].is_ascii_digit() {
                at += 1;
            }
            places.push((start, at));
        }
    }
    places
}

#[test]
fn endless_input_without_a_newline_is_refused() {
    let endless = io::repeat(b'x').take(64 << 20);
    assert!(matches!(CaptureReader::open(Box::new(endless)), Err(CaptureError::NoCapture)));
}
