//! Failed allocations of single pages are reported as a lack of memory; those that may not wait have a
//! cause of their own.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![causes::plan("exhausted", facts![failed_allocation_has_order_0])]
}

fn failed_allocation_has_order_0(run: &Observed) {
    for fault in ["gives-up", "atomic"] {
        for creation in causes::faulty(run, fault) {
            assert_eq!(creation["errno"], "ENOMEM", "{creation}");
            assert_eq!(creation["pernet_init"]["init"], "fw_pernet_init", "{creation}");
            let failed = &creation["allocations"].as_array().expect("allocations are listed");
            let failed = failed.iter().find(|allocation| allocation["outcome"] == "failed");
            assert_eq!(failed.expect("one failed")["order"], 0, "{creation}");
        }
    }
}
