//! Nothing is wrong, and fragwatch says so: twenty creations seen, none accused.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::observed::{Observed, Scenario};

static HEALTHY: Scenario =
    Scenario::new("healthy", "healthy", &["trace", "--all", "--format", "json"]);

static WITH_KPROBES: Scenario = Scenario::new(
    "healthy",
    "healthy-kprobe",
    &["trace", "--all", "--format", "json", "--attach", "kprobe"],
);

/// Each container that runc started was seen being created, once and in good health.
fn judge(observed: &Observed) {
    observed.assert_complete();
    let started = observed.containers("started");
    assert_eq!(started.len(), 20, "the scenario starts twenty containers: {started:?}");
    let mut seen: Vec<&str> = observed
        .creations_that("ok")
        .into_iter()
        .filter(|creation| creation["comm"] == "runc:[1:CHILD]")
        .filter_map(|creation| creation["container"]["id"].as_str())
        .collect();
    assert_eq!(seen.len(), 20, "one creation for each container: {seen:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(BTreeSet::from_iter(seen), BTreeSet::from_iter(started));

    assert_eq!(observed.creations_that("failed"), Vec::<&Value>::new());
    let accused: Vec<&Value> =
        observed.json.iter().filter(|line| line["verdict"]["cause"] == "fragmentation").collect();
    assert!(accused.is_empty(), "nothing is fragmented here: {accused:#?}");
    assert_eq!(observed.summary()["creations"]["failed"], 0);
    assert!(observed.summary()["creations"]["ok"].as_u64() >= Some(20), "{}", observed.summary());
}

fn via_trampoline(hook: &Value) -> bool {
    let via = hook["via"].as_str().unwrap_or_default();
    via.starts_with("fentry") || via.starts_with("fexit")
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn healthy_node_is_called_healthy() {
    judge(&HEALTHY);
    // So that the test with kprobes tests something else than this one.
    let hooks = HEALTHY.hooks();
    assert!(hooks.iter().any(via_trampoline), "{hooks:#?}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn healthy_node_is_called_healthy_with_kprobes_only() {
    judge(&WITH_KPROBES);
    let hooks = WITH_KPROBES.hooks();
    assert!(!hooks.iter().any(via_trampoline), "--attach kprobe must rule them out: {hooks:#?}");
}
