//! Who is killed while it waits for its turn to make a network namespace has met no lack of memory.

use crate::causes;
use crate::observed::Observed;

told_with_its_cause!("killed", own, on_5_10 on "5.10", on_6_1 on "6.1", on_7_2 on "7.2");

fn own(run: &Observed) {
    for creation in causes::positives(run, "wait") {
        assert_eq!(creation["errno"], "EINTR", "{creation}");
        assert_eq!(creation["allocations"], serde_json::json!([]), "{creation}");
    }
}
