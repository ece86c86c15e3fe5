//! Paths of cgroups by their ids: of one that was renamed, and inside a cgroup namespace.

use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("cgroup-renamed", TRACE)
            .on(Kernels::OldestFirst)
            .facts(facts![renamed_cgroup_has_its_new_name]),
        Plan::new("cgroup-namespace", TRACE).facts(facts![paths_are_as_complete_as_they_are_known]),
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

fn paths_are_as_complete_as_they_are_known(run: &Observed) {
    run.assert_complete();
    let outcomes = outcomes(run);
    let failed = run.creations_that("failed");
    assert_eq!((outcomes.len(), failed.len()), (3, 3), "{:#?}", run.json);
    for (outcome, failed) in outcomes.iter().zip(&failed) {
        assert_eq!(failed["step"], "fork", "{failed:#}");
        assert_eq!(failed["container"]["id"], outcome["id"], "{failed:#}");
    }
    // It was there before, and what is above the namespace's root can't be seen from inside.
    let whole = outcomes[0]["path"].as_str().expect("a path");
    let below = whole.strip_prefix("/node/").expect("all of them are below the root");
    assert_eq!(failed[0]["cgroup"]["path"], format!("/…/{below}"), "{:#}", failed[0]);
    // A creation's path is read in the kernel, and is whole: from then on all are.
    assert_eq!(failed[1]["cgroup"]["path"], outcomes[1]["path"], "{:#}", failed[1]);
    assert_eq!(failed[2]["cgroup"]["path"], outcomes[2]["path"], "{:#}", failed[2]);
}
