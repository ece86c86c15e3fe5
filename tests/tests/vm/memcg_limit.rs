//! What dies of a memory cgroup's limit is told as that, with the cgroup, and never as the node's
//! lack of memory.

use std::collections::BTreeSet;

use crate::observed::Observed;
use crate::{causes, explained};

told_with_its_cause!(
    "memcg-limit", names_the_limit, on_5_10 on "5.10", on_6_1 on "6.1", on_7_2 on "7.2"
);

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn the_errno_differs_and_the_cause_does_not() {
    let positives = causes::positives(&RUN, "memory");
    let errnos: BTreeSet<&str> = positives.iter().filter_map(|c| c["errno"].as_str()).collect();
    assert!(errnos.contains("ENOMEM"), "{errnos:?}");
    assert!(errnos.len() > 1, "{errnos:?}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn the_kernel_log_says_the_same() {
    let incidents = explained::incidents(&RUN);
    let causes: Vec<&str> =
        incidents.iter().filter_map(|i| i["verdict"]["cause"].as_str()).collect();
    assert!(!causes.is_empty(), "explain found nothing in the kernel's log");
    assert!(causes.iter().all(|cause| *cause == "memcg-limit"), "{causes:?}");
}

fn names_the_limit(run: &Observed) {
    for part in ["memory", "both"] {
        for creation in causes::positives(run, part) {
            let path = creation["cgroup"]["path"].as_str().expect("its cgroup is known");
            let charge = &creation["charges_failed"][0];
            let pod = charge["memcg"].as_str().expect("the full cgroup is named");
            assert!(path.strip_prefix(pod).is_some_and(|rest| rest.starts_with('/')), "{creation}");
            assert_eq!(charge["limit"], "memory", "{creation}");
            let [usage, limit] = ["usage_kib", "limit_kib"].map(|name| charge[name].as_u64());
            assert!(limit.is_some() && usage <= limit, "{creation}");
        }
    }
}
