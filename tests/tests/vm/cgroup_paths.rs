//! Paths of cgroups by their ids: of one that was renamed, and inside a cgroup namespace.

use serde_json::Value;

use crate::observed::{Observed, Scenario};

const fn scenario(name: &'static str) -> Scenario {
    Scenario::new(name, name, &["trace", "--format", "json"])
}

static RENAMED: Scenario = scenario("cgroup-renamed").on("5.10");
static IN_NAMESPACE: Scenario = scenario("cgroup-namespace");

/// What the guest says that it did, one object a line.
fn done(run: &Observed) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).expect("the guest writes JSON");
    run.run.stream("outcome").map(parse).collect()
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn a_renamed_cgroup_is_told_by_its_new_name() {
    RENAMED.assert_complete();
    let done = done(&RENAMED);
    let failed = RENAMED.creations_that("failed");
    assert_eq!((done.len(), failed.len()), (1, 1), "{:#?}", RENAMED.json);
    assert_eq!(failed[0]["step"], "fork", "{:#}", failed[0]);
    assert_eq!(failed[0]["cgroup"]["path"], done[0]["cgroup"], "{:#}", failed[0]);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn inside_a_cgroup_namespace_paths_are_told_as_far_as_they_are_known() {
    IN_NAMESPACE.assert_complete();
    let done = done(&IN_NAMESPACE);
    let failed = IN_NAMESPACE.creations_that("failed");
    assert_eq!((done.len(), failed.len()), (3, 3), "{:#?}", IN_NAMESPACE.json);
    for (done, failed) in done.iter().zip(&failed) {
        assert_eq!(failed["step"], "fork", "{failed:#}");
        assert_eq!(failed["container"]["id"], done["id"], "{failed:#}");
    }
    // It was there before, and what is above the namespace's root can't be seen from inside.
    let whole = done[0]["path"].as_str().expect("a path");
    let below = whole.strip_prefix("/node/").expect("all of them are below the root");
    assert_eq!(failed[0]["cgroup"]["path"], format!("/…/{below}"), "{:#}", failed[0]);
    // A creation's path is read in the kernel, and is whole: from then on all are.
    assert_eq!(failed[1]["cgroup"]["path"], done[1]["path"], "{:#}", failed[1]);
    assert_eq!(failed[2]["cgroup"]["path"], done[2]["path"], "{:#}", failed[2]);
}
