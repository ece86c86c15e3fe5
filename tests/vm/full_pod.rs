//! A cgroup that can't be made in a full pod is reported with the pod's cgroup, whichever process makes it.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![causes::plan("full-pod", facts![pod_is_named_with_its_usage])]
}

fn pod_is_named_with_its_usage(run: &Observed) {
    for creation in causes::faulty(run, "mkdir") {
        assert_eq!(creation["errno"], "ENOMEM", "{creation}");
        let refused = &creation["cgroup_refused"];
        assert_eq!(refused["controller_errno"], "ENOMEM", "{creation}");
        let charge = &creation["charges_failed"][0];
        assert_eq!(charge["memcg"], refused["parent"], "{creation}");
        assert_eq!(charge["limit_kind"], "memory", "{creation}");
        let [usage, limit] = ["usage_kib", "limit_kib"].map(|name| charge[name].as_u64());
        assert!(usage.is_some() && limit.is_some() && usage <= limit, "{creation}");
        assert_eq!(creation["verdict"]["confidence"], "high", "{creation}");
    }
}
