//! The replay of a capture gives the report of the trace that recorded it.

use std::process::Command;

use harness::build;
use serde_json::Value;

use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

const RECORD: &[&str] = &["trace", "--all", "--format", "json", "--record", "/capture.jsonl"];

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("order6", RECORD)
            .named("order6-recorded")
            .facts(facts![replay_gives_the_same_report]),
        Plan::new("fallback", RECORD)
            .named("fallback-recorded")
            .on(Kernels::OldestOnly)
            .facts(facts![replay_gives_the_same_report]),
    ]
}

/// Line by line, except for the delay of the trace's lines.
fn replay_gives_the_same_report(run: &Observed) {
    run.assert_complete();
    let output = Command::new(build::fragwatch_path())
        .args(["replay", "--format", "json"])
        .arg(run.run.directory.join("capture.jsonl"))
        .output()
        .expect("fragwatch was built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""));
    let text = String::from_utf8(output.stdout).expect("the report is UTF-8");
    let replayed: Vec<&str> = text.lines().collect();
    let lines: Vec<&str> = run.run.stream("fragwatch-out").collect();
    let (last, rest) = lines.split_last().expect("the trace printed lines");
    assert_eq!(replayed[..replayed.len() - 1], *rest);
    let summary = |line: &str| -> Value {
        let mut summary: Value = serde_json::from_str(line).expect("it is JSON");
        summary["slowest_report_us"] = Value::Null;
        summary
    };
    assert_eq!(summary(replayed[replayed.len() - 1]), summary(last));
}
