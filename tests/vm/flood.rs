//! Thousands of failed allocations with a fallback: no creation is lost among them, and none of them is
//! reported as failed.

use serde_json::Value;

use crate::observed::{Observed, TRACE_ALL};
use crate::plan::{Kernels, Plan, facts};

const NAMESPACES: usize = 20;

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        thousands_of_allocations_failed,
        no_creation_is_lost,
        no_return_is_missed,
        creation_without_fallback_failed,
    ];
    // Alone: it is about how fast the agent is.
    vec![Plan::new("flood", TRACE_ALL).on(Kernels::EverySlow).alone().facts(facts)]
}

/// What the module counted, inside or outside of creations.
fn counted(run: &Observed, place: &str) -> u64 {
    let head = format!("allocations failed {place} creations: ");
    let count = run.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    count.and_then(|count| count.parse().ok()).expect("the module counts its failures")
}

fn thousands_of_allocations_failed(run: &Observed) {
    let (inside, outside) = (counted(run, "inside"), counted(run, "outside"));
    assert!(inside > 1000, "{inside} failed allocations are too few");
    assert!(inside + outside > 2000, "{inside} and {outside} failed allocations are too few");
}

/// Of a creation's allocations some may be left out, but no creation.
fn no_creation_is_lost(run: &Observed) {
    let errors: Vec<&str> = run.run.stream("fragwatch-err").collect();
    assert_eq!(run.run.exit_code, 0, "{errors:#?}");
    let loss = run.json.iter().rfind(|line| line["type"] == "loss");
    let none = |name: &str| loss.is_none_or(|loss| loss[name] == 0);
    for name in ["creation_events", "untracked_creations"] {
        assert!(none(name), "{loss:#?}");
    }
    assert_eq!(run.summary()["creations"]["unfinished"], 0, "{}", run.summary());
    // Each tries without need: that is counted, and is no trouble. It may be stalled by the storm beside it.
    assert_eq!(run.creations_that("degraded"), Vec::<&Value>::new(), "{}", run.summary());
    let tried: Vec<&Value> =
        run.json.iter().filter(|line| line["cheap_tries"].as_u64() > Some(0)).collect();
    assert!(tried.len() >= NAMESPACES, "{}", run.summary());
    // The count of the allocations that are not listed goes with them.
    for creation in tried {
        let listed = creation["allocations"].as_array().map_or(0, Vec::len) as u64;
        let omitted = creation["allocations_omitted"].as_u64().expect("a count");
        assert!(listed > 0 && listed + omitted <= 200, "{creation:#}");
    }
}

fn no_return_is_missed(run: &Observed) {
    let loss = run.json.iter().rfind(|line| line["type"] == "loss");
    assert!(loss.is_none_or(|loss| loss["unseen_returns"] == 0), "{loss:#?}");
}

/// The one creation without a fallback fails by the same allocation: not all of them cost nothing.
fn creation_without_fallback_failed(run: &Observed) {
    let failed = run.creations_that("failed");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0]["errno"], "ENOMEM");
    assert_eq!(failed[0]["pernet_init"]["init"], "fw_flood_init");
    let allocations = failed[0]["allocations"].as_array().expect("allocations are listed");
    let order9 = |one: &&Value| one["order"] == 9 && one["site"] == "fw_try";
    assert!(allocations.iter().any(|one| order9(&one)), "{allocations:#?}");
}
