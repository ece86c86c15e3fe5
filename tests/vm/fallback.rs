//! Failed allocations with a fallback are reported as that, and never as a failed creation.

use serde_json::Value;

use crate::observed::{Observed, TRACE_ALL};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        no_creation_failed,
        failed_allocation_degrades_the_creation,
        allocations_outside_creations_are_reported,
    ];
    vec![Plan::new("fallback", TRACE_ALL).on(Kernels::DefaultFirst).facts(facts)]
}

fn no_creation_failed(run: &Observed) {
    run.assert_complete();
    let created = run.run.stream("node").filter(|line| line.ends_with(" created")).count();
    assert_eq!(created, 5, "the scenario creates five network namespaces");
    assert_eq!(run.creations_that("failed"), Vec::<&Value>::new());
    assert_eq!(run.summary()["creations"]["failed"], 0);
}

fn failed_allocation_degrades_the_creation(run: &Observed) {
    let mut troubled = run.creations_that("degraded");
    troubled.extend(run.creations_that("stalled"));
    assert!(!troubled.is_empty(), "{:#?}", run.json);
    // The table of 2 MiB that each namespace allocates as one huge page.
    let order9 = troubled
        .iter()
        .filter_map(|creation| creation["allocations"].as_array())
        .flatten()
        .find(|allocation| allocation["order"] == 9)
        .unwrap_or_else(|| panic!("no order-9 allocation in {troubled:#?}"));
    assert_ne!(order9["outcome"], "failed", "the kernel fell back: {order9:#}");
}

/// With `--all` the rest of the node is reported too: huge pages fail when it is fragmented.
fn allocations_outside_creations_are_reported(run: &Observed) {
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
    let complete = incidents.iter().filter(|incident| whole(incident)).count();
    assert!(complete > 0, "{incidents:#?}");
}
