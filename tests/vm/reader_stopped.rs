//! What fails while fragwatch can't read is reported all the same, or said to be incomplete.

use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![Plan::new("reader-stopped", TRACE).on(Kernels::DefaultFirst).facts(facts![
        among_untroubled_ones_the_failure_is_complete,
        among_troubled_ones_it_is_said_to_be_incomplete,
        controls_are_not_reported_as_failed,
        no_end_is_missing,
    ])]
}

/// The process that failed in a part of the scenario.
fn pid(run: &Observed, part: &str) -> u64 {
    let head = format!("{part}: process ");
    let said = run
        .run
        .stream("node")
        .find_map(|line| line.strip_prefix(head.as_str())?.strip_suffix(" fails")?.parse().ok());
    said.expect("the guest says which process it is")
}

/// The line about it.
fn failure<'a>(run: &'a Observed, part: &str) -> &'a Value {
    let pid = pid(run, part);
    let failures: Vec<&Value> =
        run.creations_that("failed").into_iter().filter(|line| line["pid"] == pid).collect();
    let [failure] = failures.as_slice() else { panic!("not one line: {failures:#?}") };
    assert_eq!(failure["comm"], "runc:[1:CHILD]", "{failure:#}");
    assert_eq!(failure["errno"], "ENOMEM", "{failure:#}");
    failure
}

/// What its verdict rests on, and what was not seen.
fn said(failure: &Value) -> String {
    let verdict = &failure["verdict"];
    format!("{} {}", verdict["because"], verdict["not_seen"])
}

fn among_untroubled_ones_the_failure_is_complete(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    let failure = failure(run, "quiet");
    let allocations = failure["allocations"].as_array().expect("a list");
    assert!(allocations.iter().any(|one| one["site"] == "fw_try"), "{failure:#}");
    assert_eq!(failure["pernet_init"]["init"], "fw_flood_init", "{failure:#}");
    assert!(!said(failure).contains("lost"), "{failure:#}");
}

fn among_troubled_ones_it_is_said_to_be_incomplete(run: &Observed) {
    let failure = failure(run, "noisy");
    assert_eq!(failure["verdict"]["cause"], "undetermined", "{failure:#}");
    assert!(said(failure).contains("lost"), "{failure:#}");
    let lost = run.json.iter().rfind(|line| line["type"] == "loss").expect("events were lost");
    assert!(lost["creation_events"].as_u64() > Some(1000), "{lost:#}");
}

fn controls_are_not_reported_as_failed(run: &Observed) {
    let of_control = |line: &&&Value| {
        line["cgroup"]["path"].as_str().is_some_and(|path| path.contains("pod900d900d-"))
    };
    let failed = run.creations_that("failed");
    assert_eq!(failed.iter().find(of_control), None);
    assert_eq!(failed.len(), 2, "{failed:#?}");
}

fn no_end_is_missing(run: &Observed) {
    let creations = &run.summary()["creations"];
    assert_eq!(creations["unfinished"], 0, "{creations}");
    let unfinished: Vec<&Value> =
        run.json.iter().filter(|line| line["type"] == "unfinished").collect();
    assert!(unfinished.is_empty(), "{unfinished:#?}");
}
