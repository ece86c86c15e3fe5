//! A limit on namespaces is reported with its own cause, for network namespaces and for those of a
//! container that has the host's network.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![causes::plan("netns-limit", facts![refused_namespace_is_named])]
}

fn refused_namespace_is_named(run: &Observed) {
    for fault in ["net", "pid"] {
        for creation in causes::faulty(run, fault) {
            assert_eq!(creation["errno"], "ENOSPC", "{creation}");
            assert_eq!(creation["step"], "namespaces", "{creation}");
            assert_eq!(creation["namespaces_refused"], serde_json::json!([fault]), "{creation}");
        }
    }
}
