//! Failed allocations with a fallback are reported as that, and never as a failed creation.

use serde_json::Value;

use crate::observed::{Observed, TRACE_ALL};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        no_creation_failed,
        only_an_allocation_that_was_waited_for_degrades_the_creation,
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

/// A mask with a fallback, or one that no room is made for, costs the creation nothing.
fn only_an_allocation_that_was_waited_for_degrades_the_creation(run: &Observed) {
    let creations = run.json.iter().filter(|line| line["type"] == "creation");
    let mut tables = 0;
    for creation in creations {
        let allocations = creation["allocations"].as_array().expect("allocations are listed");
        // The table of 2 MiB that each namespace allocates as one huge page.
        let Some(order9) = allocations.iter().find(|one| one["order"] == 9) else { continue };
        tables += 1;
        assert_ne!(order9["outcome"], "failed", "the kernel fell back: {order9:#}");
        if creation["cheap_tries"] == allocations.len() {
            assert_ne!(creation["outcome"], "degraded", "{creation:#}");
        }
    }
    assert!(tables > 0, "no order-9 allocation in {:#?}", run.json);
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
