//! What holds of any log, tried on the fuzzer's corpus and on the logs of incidents.
use std::{
    fs,
    path::{Path, PathBuf},
};

#[path = "../../../tests/fuzz/holds.rs"]
mod holds;

#[track_caller]
fn logs(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = files.map(|file| file.expect("a file").path());
    let logs: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).expect("a file"))).collect();
    assert!(!logs.is_empty(), "{}", folder.display());
    logs
}

#[track_caller]
fn all(corpus: &str, holds: fn(&[u8])) {
    for (path, log) in logs(corpus).into_iter().chain(logs("fixtures/incidents")) {
        eprintln!("{}", path.display());
        holds(&log);
    }
}

#[test]
fn any_log_gives_a_report() {
    all("fuzz/corpus/report", holds::report);
}

#[test]
fn a_log_in_pieces_is_the_same_log() {
    all("fuzz/corpus/chunks", holds::chunks);
}

#[test]
fn any_archive_gives_a_report() {
    all("fuzz/corpus/tree", holds::tree);
    for (path, archive) in logs("fixtures/archives") {
        eprintln!("{}", path.display());
        holds::tree(&archive);
    }
}

/// Beginnings that a shipper could have put before each line.
const BEGINNINGS: &[&str] =
    &["x1 | ", "{\"a\":\"", "[n] ", "7 ", "> ", "\u{2028}é ", "ts=1 msg=\""];

/// A log that was damaged: bytes changed, added and left out, lines moved, a beginning added.
fn damaged(log: &[u8], mut random: impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut log = log.to_vec();
    for _ in 0..random(12) {
        let at = random(log.len());
        match random(6) {
            0 if !log.is_empty() => log[at] = random(256) as u8,
            1 => log.truncate(at),
            2 => log.insert(at, b"\"\\[]{}<>|: \n'\xc3=,("[random(17)]),
            3 => drop(log.drain(at..(at + random(50)).min(log.len()))),
            4 => drop(log.splice(at..at, "\u{2028}ß😀".bytes())),
            _ => {
                let beginning = BEGINNINGS[random(BEGINNINGS.len())].as_bytes();
                let lines = log.split(|byte| *byte == b'\n');
                log = lines.flat_map(|line| [beginning, line, b"\n"].concat()).collect();
            }
        }
    }
    log
}

#[test]
fn a_damaged_log_gives_a_report() {
    let mut state = 7u64;
    let mut random = |end: usize| {
        // Knuth's MMIX generator.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end.max(1)
    };
    let logs = [logs("fixtures/faults"), logs("fixtures/incidents")].concat();
    for _ in 0..300 {
        let (path, log) = &logs[random(logs.len())];
        eprintln!("{}", path.display());
        let log = damaged(log, &mut random);
        holds::report(&log);
        holds::chunks(&log);
    }
}
