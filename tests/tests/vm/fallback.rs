//! Failed allocations that harm nobody are reported as that, and never as a failed creation.

use serde_json::Value;

use crate::observed::{Observed, Scenario};

const fn fallback() -> Scenario {
    Scenario::new("fallback", "fallback", &["trace", "--all", "--format", "json"])
}

static FALLBACK: Scenario = fallback();

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn fallback_is_no_failure() {
    is_no_failure(&FALLBACK);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn fallback_is_seen() {
    is_seen(&FALLBACK);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn fallback_tells_of_what_is_no_creation() {
    tells_of_what_is_no_creation(&FALLBACK);
}

mod slow {
    use super::{Observed, Scenario, fallback};

    static ON_5_10: Scenario = fallback().on("5.10");
    static ON_6_1: Scenario = fallback().on("6.1");
    static ON_7_2: Scenario = fallback().on("7.2");

    fn judge(run: &Observed) {
        super::is_no_failure(run);
        super::is_seen(run);
        super::tells_of_what_is_no_creation(run);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn fallback_is_the_same_on_5_10() {
        judge(&ON_5_10);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn fallback_is_the_same_on_6_1() {
        judge(&ON_6_1);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn fallback_is_the_same_on_7_2() {
        judge(&ON_7_2);
    }
}

fn is_no_failure(run: &Observed) {
    run.assert_complete();
    let created = run.run.stream("node").filter(|line| line.ends_with(" created")).count();
    assert_eq!(created, 5, "the scenario creates five network namespaces");
    assert_eq!(run.creations_that("failed"), Vec::<&Value>::new());
    assert_eq!(run.summary()["creations"]["failed"], 0);
}

fn is_seen(run: &Observed) {
    let mut troubled = run.creations_that("degraded");
    troubled.extend(run.creations_that("stalled"));
    assert!(!troubled.is_empty(), "{:#?}", run.json);
    // The table of 2 MiB that each namespace wants as one huge page.
    let order9 = troubled
        .iter()
        .filter_map(|creation| creation["allocations"].as_array())
        .flatten()
        .find(|allocation| allocation["order"] == 9)
        .unwrap_or_else(|| panic!("no order-9 allocation in {troubled:#?}"));
    assert_ne!(order9["outcome"], "failed", "the kernel fell back: {order9:#}");
}

/// With `--all` the rest of the node is told too: fragmenting it makes huge pages fail.
fn tells_of_what_is_no_creation(run: &Observed) {
    let incidents: Vec<&Value> =
        run.json.iter().filter(|line| line["type"] == "incident").collect();
    assert_eq!(run.summary()["incidents"], incidents.len());
    let whole = |incident: &&Value| {
        let allocation = &incident["allocations"][0];
        allocation["order"].as_u64() > Some(0)
            && incident["comm"].as_str().is_some_and(|comm| !comm.is_empty())
            && incident["verdict"]["cause"].is_string()
            && (incident["outcome"] == "stalled" || allocation["zones_complete"] == true)
    };
    let told = incidents.iter().filter(|incident| whole(incident)).count();
    assert!(told > 0, "{incidents:#?}");
}
