//! Thousands of failed allocations that harm nobody: no creation is lost among them, none accused.

use serde_json::Value;

use crate::observed::{Observed, Scenario};

const NAMESPACES: usize = 20;

const fn flood() -> Scenario {
    Scenario::new("flood", "flood", &["trace", "--all", "--format", "json"])
}

static FLOOD: Scenario = flood();

/// What the module counted, inside or outside of creations.
fn counted(run: &Observed, place: &str) -> u64 {
    let head = format!("allocations failed {place} creations: ");
    let told = run.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    told.and_then(|count| count.parse().ok()).expect("the module counts its failures")
}

fn is_one(run: &Observed) {
    let (inside, outside) = (counted(run, "inside"), counted(run, "outside"));
    assert!(inside > 1000, "{inside} failed allocations are no flood");
    assert!(inside + outside > 2000, "{inside} and {outside} failed allocations are no flood");
}

/// What is told of single allocations may be cut; what is told of creations may not.
fn loses_no_creation(run: &Observed) {
    let errors: Vec<&str> = run.run.stream("fragwatch-err").collect();
    assert_eq!(run.run.exit_code, 0, "{errors:#?}");
    let loss = run.json.iter().rfind(|line| line["type"] == "loss");
    let none = |name: &str| loss.is_none_or(|loss| loss[name] == 0);
    for name in ["creation_events", "untracked_creations", "unseen_returns"] {
        assert!(none(name), "{loss:#?}");
    }
    assert_eq!(run.summary()["creations"]["unfinished"], 0, "{}", run.summary());
    assert_eq!(run.creations_that("degraded").len(), NAMESPACES, "{}", run.summary());
    // The count of the allocations that are not listed goes with them.
    for creation in run.creations_that("degraded") {
        let listed = creation["allocations"].as_array().map_or(0, Vec::len) as u64;
        let omitted = creation["allocations_omitted"].as_u64().expect("a count");
        assert!(listed > 0 && listed + omitted <= 200, "{creation:#}");
    }
}

/// The one creation that has no fallback fails by the same allocation: `degraded` is no word for
/// all of them.
fn failure_without_fallback_is_one(run: &Observed) {
    let failed = run.creations_that("failed");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0]["errno"], "ENOMEM");
    assert_eq!(failed[0]["pernet_init"]["init"], "fw_flood_init");
    let allocations = failed[0]["allocations"].as_array().expect("allocations are listed");
    let order9 = |one: &&Value| one["order"] == 9 && one["site"] == "fw_try";
    assert!(allocations.iter().any(|one| order9(&one)), "{allocations:#?}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn flood_is_one() {
    is_one(&FLOOD);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn flood_loses_no_creation() {
    loses_no_creation(&FLOOD);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn flood_does_not_hide_a_failure_without_fallback() {
    failure_without_fallback_is_one(&FLOOD);
}

mod slow {
    use super::{Observed, Scenario, flood};

    static ON_5_10: Scenario = flood().on("5.10");
    static ON_6_1: Scenario = flood().on("6.1");
    static ON_7_2: Scenario = flood().on("7.2");

    fn judge(run: &Observed) {
        super::is_one(run);
        super::loses_no_creation(run);
        super::failure_without_fallback_is_one(run);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn flood_is_the_same_on_5_10() {
        judge(&ON_5_10);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn flood_is_the_same_on_6_1() {
        judge(&ON_6_1);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn flood_is_the_same_on_7_2() {
        judge(&ON_7_2);
    }
}
