//! Names of processes, cgroups and slab caches that are made to harm whoever prints them: text drives no
//! terminal, JSON stays JSON, and what can be told is told.

use serde_json::Value;

use crate::observed::{Observed, Scenario};

static JSON: Scenario =
    Scenario::new("hostile", "hostile", &["trace", "--all", "--format", "json"]);

/// Names as they must come out: what is not UTF-8 replaced, all else as it was.
const ESCAPE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}";
const QUOTES: &str = "\"}, {\"type\": '`$(reboot)";
const NEWLINE: &str = "a\nFAILED   b";

/// Lines about creations by a process of that name.
fn by(run: &Observed, comm: &str, outcome: &str) -> Vec<Value> {
    let comm: String = comm.chars().take(15).collect();
    run.creations_that(outcome)
        .into_iter()
        .filter(|c| c["comm"] == comm.as_str())
        .cloned()
        .collect()
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn hostile_names_stay_in_their_json_strings() {
    JSON.assert_complete();
    for name in [ESCAPE, QUOTES] {
        let (failed, made) = (by(&JSON, name, "failed"), by(&JSON, name, "ok"));
        assert_eq!((failed.len(), made.len()), (1, 1), "{name:?}: {:#?}", JSON.json);
        assert_eq!(failed[0]["cgroup"]["path"], format!("/{name}"), "{:#}", failed[0]);
        assert_eq!(failed[0]["verdict"]["cause"], "namespace-limit", "{:#}", failed[0]);
        let cache = made[0]["slab_caches"][0]["name"].as_str().expect("it made a cache");
        assert!(cache.starts_with("\u{1b}[2J"), "{cache:?}");
    }
    let newline = by(&JSON, NEWLINE, "failed");
    assert_eq!(newline.len(), 1, "{:#?}", JSON.json);
    // A name that the kernel refused: the attempt is told, newline and all.
    let refused = JSON.creations_that("failed").into_iter().find(|c| c["step"] == "cgroup");
    let refused = refused.expect("a cgroup could not be made");
    assert_eq!(refused["cgroup_refused"]["name"], NEWLINE, "{refused:#}");
    assert_eq!(refused["errno"], "EINVAL", "{refused:#}");
    let raw: String = JSON.run.stream("fragwatch-out").collect();
    assert!(!raw.chars().any(char::is_control), "control characters in the JSON");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn names_that_are_not_utf8_or_too_long_are_told_as_far_as_they_go() {
    let paths: Vec<&str> =
        JSON.creations().iter().filter_map(|c| c["cgroup"]["path"].as_str()).collect();
    assert!(paths.iter().any(|path| path.contains('\u{fffd}')), "{paths:#?}");
    assert!(paths.iter().any(|path| *path == format!("/{}", "x".repeat(255))), "{paths:#?}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn hostile_names_drive_no_terminal() {
    let mut request = xtask::vm::Request::new("6.12", "hostile");
    request.args = ["trace", "--all"].map(str::to_owned).to_vec();
    "hostile-text".clone_into(&mut request.results);
    let run = xtask::vm::run(&request, &mut |_| {}).expect("the scenario runs");
    assert_eq!(run.exit_code, 0);
    let lines: Vec<&str> = run.stream("fragwatch-out").collect();
    assert!(lines.iter().any(|line| line.contains("\\u{1b}[2J")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("a\\nFAILED   b")), "{lines:#?}");
    let drives = |line: &&&str| line.chars().any(char::is_control);
    assert_eq!(lines.iter().find(drives), None);
    // No line begins as if it were one of ours.
    assert!(!lines.iter().any(|line| line.starts_with("FAILED")), "{lines:#?}");
}
