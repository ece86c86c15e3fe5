//! What dies of a memory cgroup's limit is told as that, with the cgroup, and never as the node's
//! lack of memory.

use crate::explained;
use crate::observed::{Observed, Scenario};

const fn memcg_limit() -> Scenario {
    Scenario::new("memcg-limit", "memcg-limit", &["trace", "--all", "--format", "json"])
}

static MEMCG_LIMIT: Scenario = memcg_limit();

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn the_limit_and_its_cgroup_are_named() {
    names_the_limit(&MEMCG_LIMIT);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn with_room_nothing_fails() {
    room_is_no_limit(&MEMCG_LIMIT);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn the_kernel_log_says_the_same() {
    let incidents = explained::incidents(&MEMCG_LIMIT);
    let causes: Vec<&str> =
        incidents.iter().filter_map(|i| i["verdict"]["cause"].as_str()).collect();
    assert!(!causes.is_empty(), "explain found nothing in the kernel's log");
    assert!(causes.iter().all(|cause| *cause == "memcg-limit"), "{causes:?}");
}

mod slow {
    use super::{Scenario, memcg_limit};

    static ON_5_10: Scenario = memcg_limit().on("5.10");
    static ON_6_1: Scenario = memcg_limit().on("6.1");
    static ON_7_2: Scenario = memcg_limit().on("7.2");

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn is_the_same_on_5_10() {
        super::names_the_limit(&ON_5_10);
        super::room_is_no_limit(&ON_5_10);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn is_the_same_on_6_1() {
        super::names_the_limit(&ON_6_1);
        super::room_is_no_limit(&ON_6_1);
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn is_the_same_on_7_2() {
        super::names_the_limit(&ON_7_2);
        super::room_is_no_limit(&ON_7_2);
    }
}

fn names_the_limit(run: &Observed) {
    run.assert_complete();
    let failed = run.creations_that("failed");
    assert!(failed.len() >= 3, "{} of three failures told", failed.len());
    for creation in failed {
        assert_eq!(creation["verdict"]["cause"], "memcg-limit", "{creation}");
        assert_eq!(creation["cgroup"]["path"], "/limited/pod/box", "{creation}");
        let charge = &creation["charges_failed"][0];
        assert_eq!(charge["memcg"], "/limited/pod", "{creation}");
        assert_eq!(charge["limit"], "memory", "{creation}");
        let [usage, limit] = ["usage_kib", "limit_kib"].map(|name| charge[name].as_u64());
        assert!(limit.is_some_and(|limit| limit < 400), "{creation}");
        assert!(usage <= limit, "{creation}");
    }
}

fn room_is_no_limit(run: &Observed) {
    let creations = run.creations();
    assert!(creations.len() > 3, "{creations:#?}");
    for creation in &creations[..3] {
        assert_eq!(creation["outcome"], "ok", "{creation}");
        assert_eq!(creation["charges_failed"], serde_json::json!([]), "{creation}");
    }
}
