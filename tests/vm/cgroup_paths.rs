//! Paths of cgroups by their ids: of one that was renamed, and inside a cgroup namespace.

use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("cgroup-renamed", TRACE)
            .on(Kernels::OldestFirst)
            .facts(facts![renamed_cgroup_has_its_new_name]),
        Plan::new("cgroup-namespace", TRACE)
            .facts(facts![paths_are_whole_once_a_refusal_names_one]),
    ]
}

/// The guest's outcomes.
fn outcomes(run: &Observed) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).expect("the guest writes JSON");
    run.run.stream("outcome").map(parse).collect()
}

fn renamed_cgroup_has_its_new_name(run: &Observed) {
    run.assert_complete();
    let outcomes = outcomes(run);
    let failed = run.creations_that("failed");
    assert_eq!((outcomes.len(), failed.len()), (1, 1), "{:#?}", run.json);
    assert_eq!(failed[0]["step"], "fork", "{:#}", failed[0]);
    assert_eq!(failed[0]["cgroup"]["path"], outcomes[0]["cgroup"], "{:#}", failed[0]);
}

fn paths_are_whole_once_a_refusal_names_one(run: &Observed) {
    run.assert_complete();
    let outcomes = outcomes(run);
    let failed = run.creations_that("failed");
    assert_eq!((outcomes.len(), failed.len()), (3, 3), "{:#?}", run.json);
    // What is above the namespace's root can't be seen from inside; the kernel reads the path of the
    // cgroup that is at its limit from the real root.
    for (outcome, failed) in outcomes.iter().zip(&failed) {
        assert_eq!(failed["step"], "fork", "{failed:#}");
        assert_eq!(failed["container"]["id"], outcome["id"], "{failed:#}");
        assert_eq!(failed["cgroup"]["path"], outcome["path"], "{failed:#}");
    }
}
