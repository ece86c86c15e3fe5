//! A creation that is killed while it waits for its turn to make a network namespace has met no lack of
//! memory.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![causes::plan("killed", facts![no_allocation_is_reported])]
}

fn no_allocation_is_reported(run: &Observed) {
    for creation in causes::faulty(run, "wait") {
        assert_eq!(creation["errno"], "EINTR", "{creation}");
        assert_eq!(creation["allocations"], serde_json::json!([]), "{creation}");
    }
}
