//! A limit on namespaces is told as that, for network namespaces and for those of a container that has
//! the host's network.

use crate::causes;
use crate::observed::Observed;

told_with_its_cause!(
    "netns-limit", own, on_5_10 on "5.10", on_6_1 on "6.1", on_7_2 on "7.2"
);

fn own(run: &Observed) {
    for part in ["net", "pid"] {
        for creation in causes::positives(run, part) {
            assert_eq!(creation["errno"], "ENOSPC", "{creation}");
            assert_eq!(creation["step"], "namespaces", "{creation}");
            assert_eq!(creation["namespaces_refused"], serde_json::json!([part]), "{creation}");
        }
    }
}
