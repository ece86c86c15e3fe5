//! Nothing is wrong, and fragwatch says so: twenty creations seen, none accused.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::observed::{Observed, Scenario, via_trampoline};

const fn healthy() -> Scenario {
    Scenario::new("healthy", "healthy", &["trace", "--all", "--format", "json"])
}

const fn healthy_with_kprobes() -> Scenario {
    let args = &["trace", "--all", "--format", "json", "--attach", "kprobe"];
    Scenario::new("healthy", "healthy-kprobe", args)
}

static ON_5_10: Scenario = healthy().on("5.10");
static ON_6_1: Scenario = healthy().on("6.1");
static ON_6_12: Scenario = healthy();
static ON_7_2: Scenario = healthy().on("7.2");
static WITH_KPROBES: Scenario = healthy_with_kprobes();

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

fn judge_with_kprobes(observed: &Observed) {
    judge(observed);
    let hooks = observed.hooks();
    assert!(!hooks.iter().any(via_trampoline), "--attach kprobe must rule them out: {hooks:#?}");
}

fn judge_with_trampolines(observed: &Observed) {
    judge(observed);
    // So that the test with kprobes tests something else than this one.
    let hooks = observed.hooks();
    assert!(hooks.iter().any(via_trampoline), "{hooks:#?}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn healthy_node_is_called_healthy_on_5_10() {
    judge_with_trampolines(&ON_5_10);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn healthy_node_is_called_healthy_on_6_1() {
    judge_with_trampolines(&ON_6_1);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn healthy_node_is_called_healthy_on_6_12() {
    judge_with_trampolines(&ON_6_12);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn healthy_node_is_called_healthy_on_7_2() {
    judge_with_trampolines(&ON_7_2);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn healthy_node_is_called_healthy_with_kprobes_only() {
    judge_with_kprobes(&WITH_KPROBES);
}

mod slow {
    use super::{Scenario, healthy_with_kprobes, judge_with_kprobes};

    static ON_5_10: Scenario = healthy_with_kprobes().on("5.10");
    static ON_6_1: Scenario = healthy_with_kprobes().on("6.1");
    static ON_7_2: Scenario = healthy_with_kprobes().on("7.2");

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn healthy_node_is_called_healthy_with_kprobes_only_on_5_10() {
        judge_with_kprobes(&ON_5_10);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn healthy_node_is_called_healthy_with_kprobes_only_on_6_1() {
        judge_with_kprobes(&ON_6_1);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn healthy_node_is_called_healthy_with_kprobes_only_on_7_2() {
        judge_with_kprobes(&ON_7_2);
    }
}
