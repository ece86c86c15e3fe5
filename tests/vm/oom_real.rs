//! A creation that triggers the OOM killer because the node's memory is used up, and succeeds then.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    vec![causes::plan("oom-real", facts![creation_is_degraded_by_an_order_0_oom_kill])]
}

fn creation_is_degraded_by_an_order_0_oom_kill(run: &Observed) {
    for creation in causes::faulty(run, "single") {
        assert_eq!(creation["errno"], serde_json::Value::Null, "{creation}");
        assert_eq!(creation["outcome"], "degraded", "it went on: {creation}");
        assert_eq!(creation["oom_kills"][0]["order"], 0, "{creation}");
    }
}
