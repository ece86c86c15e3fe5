//! Single pages that are not to be had are told as a lack of memory, and as one of those that may not
//! wait where they may not.

use crate::causes;
use crate::observed::Observed;

told_with_its_cause!(
    "exhausted", own, on_5_10 on "5.10", on_6_1 on "6.1", on_7_2 on "7.2"
);

fn own(run: &Observed) {
    for part in ["gives-up", "atomic"] {
        for creation in causes::positives(run, part) {
            assert_eq!(creation["errno"], "ENOMEM", "{creation}");
            assert_eq!(creation["pernet_init"]["init"], "fw_pernet_init", "{creation}");
            let failed = &creation["allocations"].as_array().expect("allocations are listed");
            let failed = failed.iter().find(|allocation| allocation["outcome"] == "failed");
            assert_eq!(failed.expect("one failed")["order"], 0, "{creation}");
        }
    }
}
