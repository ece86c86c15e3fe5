//! A container's start that has the OOM killer called because memory is free in single pages only.

use crate::causes;
use crate::observed::Observed;

told_with_its_cause!(
    "oom-order1", own, on_5_10 on "5.10", on_6_1 on "6.1", on_7_2 on "7.2"
);

fn own(run: &Observed) {
    for creation in causes::positives(run, "fork") {
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
