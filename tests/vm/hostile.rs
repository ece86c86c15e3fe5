//! Names of processes, cgroups and slab caches with hostile content: in text control characters are
//! escaped, JSON stays JSON, and the creations are reported.

use serde_json::Value;

use crate::observed::{Observed, TRACE_ALL};
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("hostile", TRACE_ALL).facts(facts![
            names_stay_in_their_json_strings,
            paths_that_are_not_utf8_or_long_are_reported,
        ]),
        Plan::new("hostile", &["trace", "--all"])
            .named("hostile-text")
            .facts(facts![control_characters_are_escaped]),
    ]
}

/// Names as the report must have them.
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

fn names_stay_in_their_json_strings(run: &Observed) {
    run.assert_complete();
    for name in [ESCAPE, QUOTES] {
        let (failed, made) = (by(run, name, "failed"), by(run, name, "ok"));
        assert_eq!((failed.len(), made.len()), (1, 1), "{name:?}: {:#?}", run.json);
        assert_eq!(failed[0]["cgroup"]["path"], format!("/{name}"), "{:#}", failed[0]);
        assert_eq!(failed[0]["verdict"]["cause"], "namespace-limit", "{:#}", failed[0]);
        let cache = made[0]["slab_caches"][0]["name"].as_str().expect("it made a cache");
        assert!(cache.starts_with("\u{1b}[2J"), "{cache:?}");
    }
    let newline = by(run, NEWLINE, "failed");
    assert_eq!(newline.len(), 1, "{:#?}", run.json);
    // A name that the kernel refused: the attempt is reported, with the newline.
    let refused = run.creations_that("failed").into_iter().find(|c| c["step"] == "cgroup");
    let refused = refused.expect("a cgroup could not be made");
    assert_eq!(refused["cgroup_refused"]["name"], NEWLINE, "{refused:#}");
    assert_eq!(refused["errno"], "EINVAL", "{refused:#}");
    let raw: String = run.run.stream("fragwatch-out").collect();
    assert!(!raw.chars().any(char::is_control), "control characters in the JSON");
}

fn paths_that_are_not_utf8_or_long_are_reported(run: &Observed) {
    let paths: Vec<&str> =
        run.creations().iter().filter_map(|c| c["cgroup"]["path"].as_str()).collect();
    assert!(paths.iter().any(|path| path.contains('\u{fffd}')), "{paths:#?}");
    assert!(paths.iter().any(|path| *path == format!("/{}", "x".repeat(255))), "{paths:#?}");
}

fn control_characters_are_escaped(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    let lines: Vec<&str> = run.run.stream("fragwatch-out").collect();
    assert!(lines.iter().any(|line| line.contains("\\u{1b}[2J")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("a\\nFAILED   b")), "{lines:#?}");
    let control = |line: &&&str| line.chars().any(char::is_control);
    assert_eq!(lines.iter().find(control), None);
    // No line begins like one of fragwatch's own.
    assert!(!lines.iter().any(|line| line.starts_with("FAILED")), "{lines:#?}");
}
