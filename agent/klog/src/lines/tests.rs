//! Tests of whole logs.
mod any_log;
mod packed;

use std::{
    io,
    io::{Cursor, Write},
};

use fragwatch_core::model::log_time::Wall;
use proptest::prelude::*;

use super::*;
use crate::line::{Caller, Origin};

/// Yields a few bytes at a time.
struct Chunks(Cursor<Vec<u8>>, Vec<usize>);

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.1[0].clamp(1, buffer.len());
        self.1.rotate_left(1);
        self.0.read(&mut buffer[..size])
    }
}

fn read(bytes: impl AsRef<[u8]>) -> (Vec<LogLine>, Stats) {
    read_from(Cursor::new(bytes.as_ref().to_vec()))
}

fn read_from(input: impl Read + Send + 'static) -> (Vec<LogLine>, Stats) {
    let mut lines = Lines::new(input);
    let all = lines.by_ref().map(|line| line.expect("it can be read")).collect();
    (all, lines.stats().clone())
}

/// Numbers and texts.
fn texts(log: impl AsRef<[u8]>) -> Vec<String> {
    let lines = read(log).0.into_iter();
    lines.map(|line| format!("{}-{} {}", line.first, line.last, line.text)).collect()
}

const FAILURE: &str = "runc:[1:CHILD]: page allocation failure: order:6, mode:0x10c0d0";

#[test]
fn a_plain_log_is_read_line_by_line() {
    let log = format!("[   12.5][ T7] {FAILURE}\r\n\n[   12.6][ T7] Call Trace:\n");
    let (lines, stats) = read(log);
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0].first, lines[0].last, lines[0].text.as_str()), (1, 1, FAILURE));
    assert_eq!(lines[0].caller, Some(Caller::Thread(7)));
    assert_eq!(lines[0].origin, Origin::Kernel);
    assert_eq!(lines[0].time.expect("a time").boot, Some(Duration::from_millis(12_500)));
    assert_eq!((lines[1].first, lines[1].text.as_str()), (3, "Call Trace:"));
    assert_eq!((stats.lines, stats.undecodable_lines, stats.binary()), (3, 0, false));
}

#[test]
fn a_last_line_without_a_newline_is_one() {
    assert_eq!(texts(FAILURE), [format!("1-1 {FAILURE}")]);
}

#[test]
fn records_are_split() {
    let log =
        format!("Nov 20 09:42:36 h kernel: {FAILURE}#012Mem-Info:#012 active_file:1#011x#012\n");
    assert_eq!(texts(log), [&format!("1-1 {FAILURE}"), "1-1 Mem-Info:", "1-1  active_file:1\tx"]);
    assert_eq!(
        texts("slot #0123 page allocation failure"),
        ["1-1 slot #0123 page allocation failure"]
    );
    let kmsg = "4,1,5,-;page allocation failure\\x0a b\\xe2\\x82\\xac\\x5c\n SUBSYSTEM=acpi\n DEVICE=+x\n6,2,6,-;c\n";
    assert_eq!(texts(kmsg), ["1-1 page allocation failure", "1-1  b€\\", "4-4 c"]);
}

#[test]
fn further_lines_of_a_message_have_its_prefix() {
    let log = "[ 1.5] page allocation failure\n[ 1.6] active_anon:1\n        active_file:2\n        x\nNo prefix\n  indented\n";
    let (lines, _) = read(log);
    let seen: Vec<_> = lines
        .iter()
        .map(|l| (l.text.as_str(), l.time.is_some(), l.origin == Origin::Kernel))
        .collect();
    assert_eq!(
        seen,
        [
            ("page allocation failure", true, true),
            ("active_anon:1", true, true),
            (" active_file:2", true, true),
            (" x", true, true),
            ("No prefix", false, false),
            ("  indented", false, false),
        ]
    );
}

#[test]
fn quoted_and_wrapped_mail() {
    let log = "> >> [   30.1] swapper/0: page allocation failure: order:6,\n\
               > >> mode:0x1(GFP_DMA), nodemask=3D(null),cpuset=3D/,mems_allowed=3D0\n\
               > >> [   30.2] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 5.7.0-rc3=\n\
               + #121\n\
               > >> [   30.3] Mem-Info:\n\
               \n\
               What is this?\n";
    assert_eq!(
        texts(log),
        [
            "1-2 swapper/0: page allocation failure: order:6, mode:0x1(GFP_DMA), \
             nodemask=(null),cpuset=/,mems_allowed=0",
            "3-4 CPU: 0 PID: 1 Comm: swapper/0 Not tainted 5.7.0-rc3+ #121",
            "5-5 Mem-Info:",
            "7-7 What is this?",
        ]
    );
}

/// A remark between the lines is none of theirs.
#[test]
fn remarks_are_not_joined() {
    let log = "> [1188431.17] apache2: page allocation failure: order:1, mode:0x204020\n\
               An order-1 page with __GFP_COMP, so it is a network buffer.\n\
               > [1188431.18] CPU: 0\n\
               short\n\
               > ```\n";
    assert_eq!(
        texts(log),
        [
            "1-1 apache2: page allocation failure: order:1, mode:0x204020",
            "2-2 An order-1 page with __GFP_COMP, so it is a network buffer.",
            "3-3 CPU: 0",
            "4-4 short",
            "5-5 ```",
        ]
    );
}

/// What broke these lines was wider than a mail; the quotes show that they go on.
#[test]
fn an_open_quote_goes_on() {
    let log = "Mar 20 00:04:33 w dockerd[3176]: time=\"2023-03-20T00:04:33.4+08:00\" level=error \n\
               msg=\"Handler for POST /v1.40/containers/bc91b4fd862386647df69cb636f779c05eb034d9e5db2ab527b51b90f128a5df/start\n\
               returned error: OCI runtime create failed: mkdir x: cannot allocate memory: unknown\"\n\
               Mar 20 00:04:34 w dockerd[3176]: b\n";
    let (lines, _) = read(log);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!((lines[0].first, lines[0].last), (1, 3));
    assert_eq!(
        lines[0].text,
        "Handler for POST /v1.40/containers/bc91b4fd862386647df69cb636f779c05eb034d9e5db2ab527b51b90f128a5df/start \
         returned error: OCI runtime create failed: mkdir x: cannot allocate memory: unknown"
    );
    let wall = lines[0].time.expect("a time").wall;
    assert_eq!(wall, Some(Wall::Timestamp("2023-03-19T16:04:33.4Z".parse().expect("a time"))));
}

#[test]
fn a_terminals_width_breaks_anywhere() {
    let line = |n: u32| format!("[   30.{n:06}] {:x<84}", "kernel: page allocation failure ");
    let mut log: String = (0..6).map(|n| line(n) + "\n").collect();
    log += "yz and the rest\n[   31.000000] next\n";
    let texts = texts(&log);
    assert_eq!(texts.len(), 7, "{texts:#?}");
    assert!(
        texts[5].starts_with("6-7") && texts[5].ends_with("xxxyz and the rest"),
        "{}",
        texts[5]
    );
}

#[test]
fn programs_forms_are_undone() {
    let log = concat!(
        r#"Nov 12 15:15:41 s dockerd: time="2017-11-12T15:15:41.5+08:00" level=error msg="containerd: start container" error="oci runtime error: caused \"process_linux.go:245: \\\"exit status 6\\\"\"\n" id=ab12"#,
        "\n",
        r#"E1120 09:42:36.123456    1234 remote_runtime.go:91] RunPodSandbox failed: "a \"b\"""#,
        "\n",
        r#"t=2022-02-04T11:32:40+0000 lvl=warn msg="Failed" err="out of memory""#,
        "\n",
    );
    let (lines, _) = read(log);
    assert_eq!(
        lines[0].text,
        "containerd: start container error=\"oci runtime error: caused \"process_linux.go:245: \
         \"exit status 6\"\" \" id=ab12"
    );
    assert_eq!(lines[1].text, "RunPodSandbox failed: \"a \"b\"\"");
    let time = jiff::civil::time(9, 42, 36, 123_456_000);
    let wall = Wall::Yearless { month: 11, day: 20, time };
    assert_eq!(lines[1].time.expect("a time").wall, Some(wall));
    assert_eq!(lines[2].text, "Failed err=\"out of memory\"");
}

#[test]
fn json_of_journald_and_docker() {
    let log = concat!(
        r#"{"__REALTIME_TIMESTAMP":"1763627756250000","_SOURCE_MONOTONIC_TIMESTAMP":"1500000","_TRANSPORT":"kernel","SYSLOG_IDENTIFIER":"kernel","_HOSTNAME":"h","MESSAGE":"runc: page allocation failure: order:6\nx"}"#,
        "\n",
        r#"{"MESSAGE":[112,97,103,101,255],"SYSLOG_IDENTIFIER":"kubelet","_PID":"12"}"#,
        "\n",
        r#"{"log":"E1120 09:42:36.123456       1 x.go:9] failed\n","stream":"stderr","time":"2026-11-20T09:42:36.5Z"}"#,
        "\n",
        r#"{"level":"error","msg":"start failed","error":"no memory","time":"2026-11-20T09:42:36.5Z"}"#,
        "\n",
        r#"{"log":"first part, ","stream":"stderr","time":"2026-11-20T09:42:36.5Z"}"#,
        "\n",
        r#"{"log":"second part\n","stream":"stderr","time":"2026-11-20T09:42:37.5Z"}"#,
        "\n{\"broken\": tru\n",
    );
    let (lines, _) = read(log);
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "runc: page allocation failure: order:6",
            "x",
            "page\u{fffd}",
            "failed",
            "start failed error=no memory",
            "first part, second part",
            "{\"broken\": tru",
        ]
    );
    assert_eq!((&lines[0].origin, lines[0].host.as_deref()), (&Origin::Kernel, Some("h")));
    let time = lines[0].time.expect("a time");
    assert_eq!(time.boot, Some(Duration::from_millis(1500)));
    assert_eq!(
        time.wall,
        Some(Wall::Timestamp("2025-11-20T08:35:56.25Z".parse().expect("a time")))
    );
    assert_eq!(lines[2].origin, Origin::Program { name: "kubelet".to_owned(), pid: Some(12) });
    assert_eq!((lines[5].first, lines[5].last), (5, 6));
}

#[test]
fn export_format() {
    let mut log = b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1763627756250000\n_TRANSPORT=kernel\nMESSAGE=page allocation failure\n\n".to_vec();
    log.extend(b"__CURSOR=s=2\nSYSLOG_IDENTIFIER=kubelet\n_PID=7\nMESSAGE\n");
    // As long as a newline is: the length itself has one.
    log.extend(10u64.to_le_bytes());
    log.extend(b"ab\ncd\n\xff123\n_HOSTNAME=h\n\n");
    let (lines, _) = read(log);
    let seen: Vec<_> = lines.iter().map(|l| (l.first, l.last, l.text.as_str())).collect();
    assert_eq!(
        seen,
        [(4, 4, "page allocation failure"), (9, 13, "ab"), (9, 13, "cd"), (9, 13, "\u{fffd}123")]
    );
    assert_eq!(lines[1].origin, Origin::Program { name: "kubelet".to_owned(), pid: Some(7) });
    assert_eq!(lines[1].host.as_deref(), Some("h"));
}

#[test]
fn container_records_are_put_together() {
    let log = "2026-11-20T09:42:36.1Z stderr P page allocation \n2026-11-20T09:42:36.2Z stderr F failure, out of memory\n";
    assert_eq!(texts(log), ["1-2 page allocation failure, out of memory"]);
}

#[test]
fn colours_entities_and_odd_bytes() {
    let log = b"\0\0\x1b[32m[   12.5] \x1b[0m\x1b[33mrunc\x1b[0m: page allocation failure \x1b]0;x\xff&lt;TASK&gt; &amp;amp; & &x\n";
    let (lines, stats) = read(log);
    assert_eq!(lines[0].text, "runc: page allocation failure \u{1b}]0;x\u{fffd}<TASK> &amp; & &x");
    assert_eq!(lines[0].time.expect("a time").boot, Some(Duration::from_millis(12_500)));
    assert_eq!(stats.undecodable_lines, 1);
}

#[test]
fn human_dmesg_counts_on() {
    let log = "[Apr14 02:46] SLUB: page allocation failure\n[  +0.500000] a\n[  +1.250000] b\n";
    let (lines, _) = read(log);
    let time = jiff::civil::time(2, 46, 1, 750_000_000);
    let wall = Wall::Yearless { month: 4, day: 14, time };
    assert_eq!(lines[2].time.expect("a time").wall, Some(wall));
}

#[test]
fn an_input_that_fails_is_an_error_after_its_lines() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    let mut lines = Lines::new(Cursor::new(format!("{FAILURE}\n")).chain(Fails));
    assert_eq!(lines.next().expect("a line").expect("a line").text, FAILURE);
    assert!(lines.next().expect("an error").is_err());
    assert!(lines.next().is_none());
    let error = Lines::new(std::fs::File::open("/").expect("it opens")).next();
    assert!(error.expect("an error").is_err(), "a directory");
}

#[test]
fn empty_and_binary_input() {
    assert_eq!(read("").0, []);
    assert_eq!(read("\n\n\n").1.lines, 3);
    assert!(!read("").1.binary());
    let elf: Vec<u8> = (0..5000u32).map(|n| (n * 7 % 31) as u8).collect();
    assert!(read(elf).1.binary());
}

/// Within a window lines are yielded, far from it they are counted.
#[test]
fn lines_far_from_a_trigger_are_counted_only() {
    let mut log = String::new();
    for n in 1..=5000 {
        let text = if n == 2500 { FAILURE } else { "nothing" };
        log.extend(["Nov 20 09:42:36 h x[", &n.to_string(), "]: ", text, "\n"]);
    }
    let (lines, stats) = read(&log);
    assert_eq!(
        (lines.first().map(|l| l.first), lines.last().map(|l| l.last)),
        (Some(2300), Some(3000))
    );
    assert_eq!(lines.len(), 701);
    assert!(lines.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
    assert_eq!((stats.lines, stats.bytes), (5000, log.len() as u64));
}

#[test]
fn an_endless_line_is_cut() {
    let filler = "x".repeat(300_000);
    let log = format!("{FAILURE} {filler}\n{filler}\n{filler}page allocation failure\nend");
    for chunk in [1000, 70_000, 1_000_000] {
        let (lines, stats) = read_from(Chunks(Cursor::new(log.clone().into_bytes()), vec![chunk]));
        assert_eq!(lines.len(), 4, "chunk {chunk}");
        assert_eq!(lines[0].text.len(), 64 * 1024);
        assert_eq!((stats.cut_lines, stats.lines), (3, 4));
        let kept = 3 * 64 * 1024 + "\n\n\nend".len() as u64;
        assert_eq!(stats.cut_bytes, log.len() as u64 - kept);
    }
    // Behind what is kept of a line nothing is looked for.
    assert_eq!(read(format!("{filler}page allocation failure\n")).0, []);
}

/// A line is there before the pipe is closed, and quiet is reported.
#[test]
fn a_stream_is_read_as_it_comes() {
    let (mut writer, reader) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let mut lines = Lines::new(reader);
    assert!(matches!(lines.next_timeout(Duration::from_millis(20)), Next::Quiet));
    writer.write_all(format!("[    1.5] {FAILURE}\n[    1.6] half").as_bytes()).expect("room");
    let Next::Line(line) = lines.next_timeout(Duration::from_secs(10)) else {
        writer.write_all(b"\n").expect("room");
        panic!("the line was there");
    };
    assert_eq!(line.text, FAILURE);
    assert!(matches!(lines.next_timeout(Duration::from_millis(20)), Next::Quiet));
    writer.write_all(b" and half\n").expect("room");
    let Next::Line(line) = lines.next_timeout(Duration::from_secs(10)) else {
        panic!("the line was there")
    };
    assert_eq!(line.text, "half and half");
    drop(writer);
    assert!(matches!(lines.next_timeout(Duration::from_secs(10)), Next::End));
    assert!(matches!(lines.next_timeout(Duration::from_secs(10)), Next::End));
}
