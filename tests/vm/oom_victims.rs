//! Kills of containers that run are reported without `--all`, whichever process asked for the memory.

use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        every_kill_is_in_an_incident,
        victims_and_cause_are_named,
        no_creation_is_accused,
        start_of_fragwatch_kills_no_other,
    ];
    vec![Plan::new("oom-victims", TRACE).on(Kernels::DefaultFirst).facts(facts)]
}

fn incidents(run: &Observed) -> Vec<&Value> {
    run.json.iter().filter(|line| line["type"] == "incident").collect()
}

fn kills(incident: &Value) -> &Vec<Value> {
    incident["oom_kills"].as_array().expect("OOM kills are watched")
}

/// As many as the kernel logs, each once; a burst of them is one incident. While fragwatch ends, the kernel may kill
/// more.
fn every_kill_is_in_an_incident(run: &Observed) {
    run.assert_complete();
    let logged = run.run.stream("dmesg").filter(|line| line.contains("Killed process ")).count();
    let before = run.run.stream("killed").next().and_then(|count| count.parse().ok());
    let before: usize = before.expect("the guest counts kills before fragwatch ends");
    let reported: usize = incidents(run).iter().map(|incident| kills(incident).len()).sum();
    assert!(before > 0, "the kernel killed nothing");
    assert!((before..=logged).contains(&reported), "{before} to {logged}: {:#?}", run.json);
}

fn victims_and_cause_are_named(run: &Observed) {
    let containers: Vec<&str> = run.run.stream("victim").collect();
    let mut of_init = incidents(run);
    of_init.retain(|incident| incident["pid"] == 1);
    assert!(!of_init.is_empty(), "{:#?}", run.json);
    for incident in of_init {
        assert_eq!(incident["verdict"]["cause"], "oom-fragmentation", "{incident:#}");
        for kill in kills(incident) {
            assert!(kill["order"].as_i64() > Some(0), "{incident:#}");
            let cgroup = kill["cgroup"].as_str().expect("the victim's cgroup is known");
            assert!(containers.contains(&cgroup), "{incident:#}");
            let id = kill["container"]["id"].as_str().expect("the container is known");
            assert!(cgroup.ends_with(id), "{incident:#}");
        }
    }
}

fn no_creation_is_accused(run: &Observed) {
    let failed = run.creations_that("failed");
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Where the kernel calls the OOM killer for the programs of a start, it takes the one that starts.
fn start_of_fragwatch_kills_no_other(run: &Observed) {
    let mut caller = "";
    for line in run.run.stream("dmesg") {
        if line.contains(" invoked oom-killer") {
            caller = line;
        }
        if line.contains("Killed process ") && caller.contains("] fragwatch invoked") {
            assert!(line.contains("(fragwatch)"), "{caller}\n{line}");
        }
    }
    assert!(run.run.stream("node").any(|line| line.starts_with("a second fragwatch ended")));
}
