//! What is said of creations that were recorded on real kernels: as when they were recorded, and as
//! each capture's header expects.
use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

fn captures() -> Vec<PathBuf> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
    let entries = fs::read_dir(&directory).expect("the fixtures are there");
    let mut captures: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be listed").path()).collect();
    captures.sort();
    captures
}

fn replay(capture: &PathBuf, format: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fragwatch"))
        .args(["replay", "--all", "--format", format])
        .arg(capture)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary was built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{}: {stderr}", capture.display());
    assert_eq!(stderr, "", "{}", capture.display());
    String::from_utf8(output.stdout).expect("the report is UTF-8")
}

#[test]
fn each_capture_says_what_it_said() {
    let captures = captures();
    assert!(captures.len() >= 5, "where are they? {captures:?}");
    let mut wrong = Vec::new();
    for capture in &captures {
        let name = capture.display();
        let text = fs::read_to_string(capture).expect("a fixture is UTF-8");
        let header = text.lines().next().unwrap_or_default();
        let header: Value = serde_json::from_str(header).expect("a header is JSON");
        let expected = &header["expected"];
        assert!(expected["outcome"].is_string(), "{name} does not say what is expected");
        let report = replay(capture, "json");
        let creation = report
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("the report is JSON"))
            .filter(|line| line["type"] == "creation" && line["tid"] == expected["tid"])
            // A thread may make several.
            .find(|line| line["time"] == expected["time"])
            .unwrap_or_else(|| panic!("{name} does not hold the creation it is about"));
        let (outcome, cause) = (&creation["outcome"], &creation["verdict"]["cause"]);
        if *outcome != expected["outcome"] || *cause != expected["cause"] {
            wrong.push(format!("{name}: {outcome} of {cause}, and expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Nobody is asked for them again.
#[test]
fn names_are_those_that_were_known_then() {
    let named = |capture: &PathBuf| capture.ends_with("6.12-order6.jsonl");
    let capture = captures().into_iter().find(named).expect("it is there");
    let report = replay(&capture, "json");
    assert!(report.contains(r#""pod":"web-0","namespace":"default""#), "{report}");
    assert!(replay(&capture, "text").contains(" default/web-0 ("), "it has no headline");
}

#[test]
fn a_capture_is_told_the_same_each_time() {
    for capture in captures() {
        for format in ["json", "text"] {
            assert_eq!(replay(&capture, format), replay(&capture, format), "{}", capture.display());
        }
    }
}

#[test]
fn captures_stay_small() {
    for capture in captures() {
        let size = capture.metadata().expect("it is there").len();
        assert!(size <= 30 << 10, "{}: {size} bytes", capture.display());
    }
}
