//! Without kprobes: what tracepoints alone show of the same failure, and what they don't; and what
//! lockdown takes away.

use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("order6", &["trace", "--format", "json", "--attach", "tracepoint"])
            .named("order6-tracepoint")
            .on(Kernels::DefaultFirst)
            .facts(facts![
                failed_creation_is_reported,
                no_cause_is_reported_but_what_is_missing,
                tracepoints_alone_are_attached,
            ]),
        Plan::new("fallback", TRACE)
            .named("fallback-integrity")
            .append("lockdown=integrity")
            .facts(facts![lockdown_integrity_takes_nothing_away]),
        Plan::new("fallback", TRACE)
            .named("fallback-confidentiality")
            .append("lockdown=confidentiality")
            .facts(facts![lockdown_confidentiality_is_the_error]),
    ]
}

fn hook<'a>(observed: &'a Observed, name: &str) -> &'a Value {
    let found = observed.hooks().iter().find(|hook| hook["name"] == name);
    found.unwrap_or_else(|| panic!("no hook {name} in {:#?}", observed.hooks()))
}

fn contains(list: &Value, what: &str) -> bool {
    let sentences = list.as_array().expect("a list of sentences");
    sentences.iter().filter_map(Value::as_str).any(|sentence| sentence.contains(what))
}

fn failed_creation_is_reported(run: &Observed) {
    run.assert_complete();
    let creation = *run.creations_that("failed").last().expect("a creation failed");
    assert_eq!(creation["errno"], "ENOMEM", "{creation:#}");
    assert_eq!(creation["comm"], "runc:[1:CHILD]", "{creation:#}");
    let failed = *run.containers("failed").last().expect("the scenario ends with a failure");
    assert_eq!(creation["container"]["id"], failed, "{creation:#}");
    assert!(creation["stall_us"].as_u64() > Some(0), "{creation:#}");

    let allocations = creation["allocations"].as_array().expect("allocations are listed");
    let large = allocations.iter().find(|allocation| allocation["order"] == 6);
    let large = large.unwrap_or_else(|| panic!("no order 6 in {creation:#}"));
    assert_eq!(large["gfp"]["raw"], "0x40cc0", "{large:#}");
    assert_ne!(large["compactions"], serde_json::json!([]), "{large:#}");
    assert!(!large["compactions"].to_string().contains("success"), "{large:#}");
    // Tracepoints don't show whether this was the one that failed.
    assert_eq!(large["outcome"], "unknown", "{large:#}");
}

fn no_cause_is_reported_but_what_is_missing(run: &Observed) {
    for line in &run.json {
        assert_ne!(line["verdict"]["cause"], "fragmentation", "{line:#}");
    }
    let creation = *run.creations_that("failed").last().expect("a creation failed");
    let verdict = &creation["verdict"];
    assert_ne!(verdict["confidence"], "high", "{verdict:#}");
    assert!(contains(&verdict["because"], "order-6"), "{verdict:#}");
    // runc makes the other namespaces in the same call.
    for unseen in ["failed allocations", "the same system call asked for mount", "subsystem"] {
        assert!(contains(&verdict["not_seen"], unseen), "{unseen}: {verdict:#}");
    }
    assert_eq!(run.summary()["outside"]["failures"], Value::Null);
}

fn tracepoints_alone_are_attached(run: &Observed) {
    for hook in run.hooks() {
        match hook["via"].as_str() {
            Some(via) => {
                let by = via.split(':').next().unwrap_or(via);
                assert!(["tracepoint", "raw_tracepoint"].contains(&by), "{hook:#}");
            }
            None => assert_eq!(hook["why"], "no tracepoint shows it", "{hook:#}"),
        }
    }
    let missing: Vec<&str> = run
        .hooks()
        .iter()
        .filter(|hook| hook["state"] == "missing")
        .filter_map(|hook| hook["name"].as_str())
        .collect();
    let expected = [
        "namespaces",
        "allocation-failed",
        "slab-cache",
        "pernet-init",
        "memcg-charge",
        "cgroup-setup",
        "memcg-setup",
        "namespace-refused",
        "fork-refused",
        "fork",
        "exec",
        "mount",
        "link",
        "cgroup-entry",
        "keyring",
        "seccomp",
        "bpf-program",
        "compaction-began",
        "reclaim-began",
    ];
    assert_eq!(missing, expected);
}

fn lockdown_integrity_takes_nothing_away(run: &Observed) {
    run.assert_complete();
    assert!(run.hooks().iter().all(|hook| hook["state"] != "missing"));
    let failed = &hook(run, "allocation-failed")["via"];
    assert_eq!(failed, "kprobe:warn_alloc");
    assert_eq!(run.creations_that("degraded").len(), 5, "{:#?}", run.json);
}

fn lockdown_confidentiality_is_the_error(run: &Observed) {
    assert_eq!(run.run.exit_code, 2);
    assert!(run.json.is_empty(), "{:#?}", run.json);
    let errors: Vec<&str> = run.run.stream("fragwatch-err").collect();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains("lockdown=confidentiality"), "{errors:#?}");
    assert!(!errors[0].contains("not mounted"), "tracefs is mounted: {errors:#?}");
}
