//! A capture says what the trace said that wrote it.

use std::process::Command;

use serde_json::Value;
use xtask::paths;

use crate::observed::Scenario;

const ARGS: &[&str] = &["trace", "--all", "--format", "json", "--record", "/capture.jsonl"];

static ORDER6: Scenario = Scenario::new("order6", "order6-recorded", ARGS);
static FALLBACK: Scenario = Scenario::new("fallback", "fallback-recorded", ARGS).on("5.10");

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn order6_is_told_again_as_it_was_told() {
    is_told_again(&ORDER6);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn fallback_is_told_again_as_it_was_told() {
    is_told_again(&FALLBACK);
}

/// Line by line, but for how late the trace was.
fn is_told_again(scenario: &Scenario) {
    scenario.assert_complete();
    let output = Command::new(paths::target().join("release/fragwatch"))
        .args(["replay", "--format", "json"])
        .arg(scenario.run.directory.join("capture.jsonl"))
        .output()
        .expect("fragwatch was built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""));
    let text = String::from_utf8(output.stdout).expect("the report is UTF-8");
    let told: Vec<&str> = text.lines().collect();
    let lines: Vec<&str> = scenario.run.stream("fragwatch-out").collect();
    let (last, rest) = lines.split_last().expect("the trace said something");
    assert_eq!(told[..told.len() - 1], *rest);
    let summary = |line: &str| -> Value {
        let mut summary: Value = serde_json::from_str(line).expect("it is JSON");
        summary["slowest_report_us"] = Value::Null;
        summary
    };
    assert_eq!(summary(told[told.len() - 1]), summary(last));
}
