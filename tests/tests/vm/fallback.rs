//! Failed allocations that harm nobody are reported as that, and never as a failed creation.

use serde_json::Value;

use crate::observed::Scenario;

static FALLBACK: Scenario =
    Scenario::new("fallback", "fallback", &["trace", "--all", "--format", "json"]);

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn fallback_is_no_failure() {
    FALLBACK.assert_complete();
    let created = FALLBACK.run.stream("node").filter(|line| line.ends_with(" created")).count();
    assert_eq!(created, 5, "the scenario creates five network namespaces");
    assert_eq!(FALLBACK.creations_that("failed"), Vec::<&Value>::new());
    assert_eq!(FALLBACK.summary()["creations"]["failed"], 0);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn fallback_is_seen() {
    let mut troubled = FALLBACK.creations_that("degraded");
    troubled.extend(FALLBACK.creations_that("stalled"));
    assert!(!troubled.is_empty(), "{:#?}", FALLBACK.json);
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
#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn fallback_tells_of_what_is_no_creation() {
    let incidents: Vec<&Value> =
        FALLBACK.json.iter().filter(|line| line["type"] == "incident").collect();
    assert_eq!(FALLBACK.summary()["incidents"], incidents.len());
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
