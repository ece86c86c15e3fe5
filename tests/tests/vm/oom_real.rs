//! A creation that has the OOM killer called because the node's memory is gone is told so, though it
//! succeeds.

use crate::causes;
use crate::observed::Observed;

told_with_its_cause!("oom-real", own, on_5_10 on "5.10", on_6_1 on "6.1", on_7_2 on "7.2");

fn own(run: &Observed) {
    for creation in causes::positives(run, "single") {
        assert_eq!(creation["errno"], serde_json::Value::Null, "{creation}");
        assert_eq!(creation["outcome"], "degraded", "it went on: {creation}");
        assert_eq!(creation["oom_kills"][0]["order"], 0, "{creation}");
    }
}
