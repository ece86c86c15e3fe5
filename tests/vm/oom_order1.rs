//! A container's start that triggers the OOM killer because memory is free in single pages only.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![causes::plan("oom-order1", facts![oom_kill_and_fragmented_zone_are_reported])]
}

fn oom_kill_and_fragmented_zone_are_reported(run: &Observed) {
    for creation in causes::faulty(run, "fork") {
        assert_eq!(creation["outcome"], "degraded", "it went on: {creation}");
        assert_eq!(creation["step"], "oom-kill", "{creation}");
        let asked = &creation["allocations"][0];
        assert_eq!(asked["outcome"], "oom", "{creation}");
        assert!(asked["zone"]["largest_order"].as_u64() < asked["order"].as_u64(), "{creation}");
        let kill = &creation["oom_kills"][0];
        assert!(kill["order"].as_i64() > Some(0), "{creation}");
        assert_eq!(kill["memcg"], serde_json::Value::Null, "{creation}");
    }
}
