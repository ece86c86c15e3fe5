//! A creation that fails at the limit of a memory cgroup is reported with the cgroup, and never as a lack
//! of memory of the node.

use std::collections::BTreeSet;

use crate::observed::Observed;
use crate::plan::{Plan, facts, is_default};
use crate::{causes, explained};

pub(crate) fn plans() -> Vec<Plan> {
    let plan = causes::plan("memcg-limit", facts![limit_is_named]);
    vec![plan.facts_on(is_default, facts![errno_differs, kernel_log_has_the_cause])]
}

/// A subsystem may turn ENOMEM into another errno; the cause stays.
fn errno_differs(run: &Observed) {
    let faulty = causes::faulty(run, "memory");
    let errnos: BTreeSet<&str> = faulty.iter().filter_map(|c| c["errno"].as_str()).collect();
    assert!(errnos.contains("ENOMEM"), "{errnos:?}");
    assert!(errnos.len() > 1, "{errnos:?}");
}

fn kernel_log_has_the_cause(run: &Observed) {
    let incidents = explained::incidents(run);
    let causes: Vec<&str> =
        incidents.iter().filter_map(|i| i["verdict"]["cause"].as_str()).collect();
    assert!(!causes.is_empty(), "explain found nothing in the kernel's log");
    assert!(causes.iter().all(|cause| *cause == "memcg-limit"), "{causes:?}");
}

fn limit_is_named(run: &Observed) {
    for fault in ["memory", "both"] {
        for creation in causes::faulty(run, fault) {
            let path = creation["cgroup"]["path"].as_str().expect("its cgroup is known");
            let charge = &creation["charges_failed"][0];
            let pod = charge["memcg"].as_str().expect("the full cgroup is named");
            assert!(path.strip_prefix(pod).is_some_and(|rest| rest.starts_with('/')), "{creation}");
            assert_eq!(charge["limit_kind"], "memory", "{creation}");
            let [usage, limit] = ["usage_kib", "limit_kib"].map(|name| charge[name].as_u64());
            assert!(limit.is_some() && usage <= limit, "{creation}");
        }
    }
}
