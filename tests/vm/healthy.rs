//! Nothing fails on a healthy node, and the report has twenty creations and no failure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::observed::{
    Observed, TRACE_ALL, TRACE_ALL_WITH_KPROBES, assert_kprobes_only, assert_trampolines,
};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("healthy", TRACE_ALL)
            .on(Kernels::Every)
            .facts(facts![each_container_is_reported_once, nothing_failed])
            .facts(facts![some_hook_has_a_trampoline]),
        Plan::new("healthy", TRACE_ALL_WITH_KPROBES)
            .named("healthy-kprobe")
            .on(Kernels::DefaultFirst)
            .facts(facts![each_container_is_reported_once, nothing_failed])
            .facts(facts![kprobes_alone_are_attached]),
    ]
}

fn some_hook_has_a_trampoline(run: &Observed) {
    assert_trampolines(run);
}

fn kprobes_alone_are_attached(run: &Observed) {
    assert_kprobes_only(run);
}

fn each_container_is_reported_once(run: &Observed) {
    run.assert_complete();
    let started = run.containers("started");
    assert_eq!(started.len(), 20, "the scenario starts twenty containers: {started:?}");
    let mut seen: Vec<&str> = run
        .creations_that("ok")
        .into_iter()
        .filter(|creation| creation["comm"] == "runc:[1:CHILD]")
        .filter_map(|creation| creation["container"]["id"].as_str())
        .collect();
    assert_eq!(seen.len(), 20, "one creation for each container: {seen:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(BTreeSet::from_iter(seen), BTreeSet::from_iter(started));
    assert!(run.summary()["creations"]["ok"].as_u64() >= Some(20), "{}", run.summary());
}

fn nothing_failed(run: &Observed) {
    assert_eq!(run.creations_that("failed"), Vec::<&Value>::new());
    let is_fragmented = |line: &&Value| line["verdict"]["cause"] == "fragmentation";
    let found: Vec<&Value> = run.json.iter().filter(is_fragmented).collect();
    assert!(found.is_empty(), "memory is not fragmented: {found:#?}");
    assert_eq!(run.summary()["creations"]["failed"], 0);
}
