//! Replays of captures from real kernels: the outcome and cause must be those that each capture's
//! header expects.
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
fn each_capture_has_the_expected_outcome_and_cause() {
    let captures = captures();
    assert!(captures.len() >= 5, "captures are missing: {captures:?}");
    let mut wrong = Vec::new();
    for capture in &captures {
        let name = capture.display();
        let text = fs::read_to_string(capture).expect("a fixture is UTF-8");
        let header = text.lines().next().unwrap_or_default();
        let header: Value = serde_json::from_str(header).expect("a header is JSON");
        let expected = &header["expected"];
        assert!(expected["outcome"].is_string(), "{name} has no expected outcome");
        let report = replay(capture, "json");
        let creation = report
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("the report is JSON"))
            .filter(|line| line["type"] == "creation" && line["tid"] == expected["tid"])
            // A thread may have several creations.
            .find(|line| line["time"] == expected["time"])
            .unwrap_or_else(|| panic!("{name} does not hold the expected creation"));
        let (outcome, cause) = (&creation["outcome"], &creation["verdict"]["cause"]);
        if *outcome != expected["outcome"] || *cause != expected["cause"] {
            wrong.push(format!("{name}: {outcome}, {cause}; expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A replay looks up no names.
#[test]
fn names_are_those_in_the_capture() {
    let named = |capture: &PathBuf| capture.ends_with("6.12-order6.jsonl");
    let capture = captures().into_iter().find(named).expect("it is there");
    let report = replay(&capture, "json");
    assert!(report.contains(r#""pod":"web-0","namespace":"default""#), "{report}");
    assert!(replay(&capture, "text").contains(" default/web-0 ("), "the headline lacks the pod");
}

#[test]
fn a_replay_is_deterministic() {
    for capture in captures() {
        for format in ["json", "text"] {
            assert_eq!(replay(&capture, format), replay(&capture, format), "{}", capture.display());
        }
    }
}

#[test]
fn captures_are_at_most_30_kib() {
    for capture in captures() {
        let size = capture.metadata().expect("it is there").len();
        assert!(size <= 30 << 10, "{}: {size} bytes", capture.display());
    }
}
