//! A limit on kernel memory alone, which cgroup v1 has and 5.10 still minds, is told as a memory cgroup's
//! limit.

use crate::causes;
use crate::observed::{Observed, Scenario};

static RUN: Scenario =
    Scenario::new("memcg-kmem-v1", "memcg-kmem-v1", &["trace", "--all", "--format", "json"])
        .on("5.10");

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn it_has_its_cause_and_its_twin_none() {
    causes::judge(&RUN, "memcg-kmem-v1");
    names_the_limit(&RUN);
}

fn names_the_limit(run: &Observed) {
    let limited = |line: &&serde_json::Value| line["charges_failed"][0]["limit"] == "kmem";
    let positives = causes::positives(run, "kmem");
    assert!(positives.iter().any(limited), "{positives:#?}");
}
