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
