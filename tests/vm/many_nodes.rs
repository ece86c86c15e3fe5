//! On eight NUMA nodes with sixteen processors each failure has many zones, and many processors fail at once:
//! nothing of it is lost.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::observed::{Observed, TRACE_ALL};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        nothing_is_lost,
        order6_failed_in_the_zones_of_all_nodes,
        each_kill_of_the_storm_is_reported,
    ];
    vec![Plan::new("many-nodes", TRACE_ALL).on(Kernels::SlowDefaultOnly).facts(facts)]
}

fn nothing_is_lost(run: &Observed) {
    run.assert_complete();
    let lost = run.json.iter().find(|line| line["type"] == "loss");
    assert_eq!(lost, None);
}

fn order6_failed_in_the_zones_of_all_nodes(run: &Observed) {
    let failed = run.creations_that("failed");
    let creation = failed.last().expect("one container could not be created");
    assert_eq!(creation["verdict"]["cause"], "fragmentation", "{creation:#}");
    let allocations = creation["allocations"].as_array().expect("allocations are listed");
    let decisive = allocations.iter().find(|one| one["outcome"] == "failed").expect("one failed");
    let zones = decisive["zones"].as_array().expect("its zones are listed");
    let nodes: BTreeSet<u64> = zones.iter().filter_map(|zone| zone["node"].as_u64()).collect();
    assert_eq!(nodes, (0..8).collect(), "{decisive:#}");
}

/// Victims in the kernel's log, and in reports.
fn each_kill_of_the_storm_is_reported(run: &Observed) {
    let killed: BTreeSet<u64> = run
        .run
        .stream("dmesg")
        .filter_map(|line| line.split_once("Killed process ")?.1.split(' ').next()?.parse().ok())
        .collect();
    assert!(killed.len() >= 24, "{killed:?}");
    let kills = run.json.iter().filter_map(|line| line["oom_kills"].as_array()).flatten();
    let reported: BTreeSet<u64> = kills.filter_map(|kill| kill["pid"].as_u64()).collect();
    let missing: Vec<&u64> = killed.difference(&reported).collect();
    assert!(missing.is_empty(), "not reported: {missing:?}; {:#}", Value::from(run.json.len()));
}
