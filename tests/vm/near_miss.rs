//! Creations that were made only after the kernel had made room are reported with what nearly failed them.

use crate::causes;
use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let args = &["trace", "--all", "--format", "json", "--stall", "100us"];
    let facts = facts![
        near_misses_are_stalled_and_marked,
        compaction_has_call_site_and_zones,
        full_pod_is_named,
        no_control_nearly_failed,
    ];
    vec![causes::plan_with("near-miss", args, facts).on(Kernels::EverySlow)]
}

fn near_misses_are_stalled_and_marked(run: &Observed) {
    for fault in ["compaction", "memcg"] {
        for creation in causes::faulty(run, fault) {
            assert_eq!(creation["outcome"], "stalled", "{creation}");
            assert_eq!(creation["near_miss"], true, "{creation}");
            assert!(creation["stall_us"].as_u64() > Some(100), "{creation}");
        }
    }
}

fn compaction_has_call_site_and_zones(run: &Observed) {
    for creation in causes::faulty(run, "compaction") {
        let allocations = creation["allocations"].as_array().expect("allocations are listed");
        let large = allocations.iter().find(|allocation| allocation["order"] == 9);
        let large = large.unwrap_or_else(|| panic!("no order 9 in {creation}"));
        assert_eq!(large["outcome"], "recovered", "{creation}");
        assert_eq!(large["site"], "fw_pernet_init", "{creation}");
        assert!(large["zone"]["largest_order"].as_u64() < Some(9), "{creation}");
    }
}

fn full_pod_is_named(run: &Observed) {
    for creation in causes::faulty(run, "memcg") {
        let path = creation["cgroup"]["path"].as_str().expect("its cgroup is known");
        let pod = creation["memcg_reclaims"]["memcg"].as_str().expect("the full cgroup is named");
        assert!(path.starts_with(pod), "{creation}");
    }
}

fn no_control_nearly_failed(run: &Observed) {
    let controls = causes::controls(run);
    let near: Vec<_> = controls.iter().filter(|line| line["near_miss"] == true).collect();
    assert!(near.is_empty(), "{near:#?}");
}
