//! A limit on kernel memory alone, which exists with cgroup v1 on old kernels, is reported as the limit
//! of a memory cgroup.

use serde_json::Value;

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![causes::plan("memcg-kmem-v1", facts![limit_is_named]).on(Kernels::OldestFirst)]
}

fn limit_is_named(run: &Observed) {
    let limited = |line: &&Value| line["charges_failed"][0]["limit_kind"] == "kmem";
    let faulty = causes::faulty(run, "kmem");
    assert!(faulty.iter().any(limited), "{faulty:#?}");
}
