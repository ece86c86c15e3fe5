//! Steps of a container's start beside its namespaces and its cgroup are reported when they fail, each with its
//! cause and what it rests on.

use serde_json::Value;

use crate::causes;
use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    // As users run it: nothing is reported that only `--all` asks for.
    let plan = |scenario, own| causes::plan_with(scenario, TRACE, own);
    vec![
        plan("fork-memcg", facts![full_pod_is_named]),
        plan("fork-nproc", facts![users_limit_is_named]),
        plan("exec-enomem", facts![execution_is_named]),
        plan("mount-enomem", facts![mount_is_named]),
        // The compaction that the first link's failure called may free a block that the plug-in's link then takes.
        plan("link-order6", facts![link_is_named, plugins_link_is_named]).on(Kernels::EverySlow),
        plan("keyring-quota", facts![keyring_is_named]),
        plan("seccomp-memcg", facts![filter_is_named]),
        plan("memlock", facts![program_is_named]).on(Kernels::OldestOnly),
        plan("cpuset-empty", facts![entry_is_named]).on(Kernels::OldestFirst),
    ]
}

/// The one line about the fault, of this step and errno.
fn the_line<'a>(run: &'a Observed, fault: &str, step: &str, errno: &str) -> &'a Value {
    let lines = causes::faulty(run, fault);
    assert_eq!(lines.len(), 1, "it is reported once: {lines:#?}");
    assert_eq!(lines[0]["step"], step, "{:#}", lines[0]);
    assert_eq!(lines[0]["errno"], errno, "{:#}", lines[0]);
    assert_eq!(lines[0]["outcome"], "failed", "{:#}", lines[0]);
    lines[0]
}

fn full_pod_is_named(run: &Observed) {
    let line = the_line(run, "fork", "fork", "ENOMEM");
    let path = line["cgroup"]["path"].as_str().expect("its cgroup is known");
    let full = line["charges_failed"][0]["memcg"].as_str().expect("the full cgroup is named");
    assert!(path.strip_prefix(full).is_some_and(|rest| rest.starts_with('/')), "{line:#}");
}

fn users_limit_is_named(run: &Observed) {
    let line = the_line(run, "fork", "fork", "EAGAIN");
    assert_eq!(line["user_processes"]["uid"], 4002, "{line:#}");
    assert_eq!(line["user_processes"]["limit"], 1, "{line:#}");
    assert_eq!(line["verdict"]["confidence"], "high", "{line:#}");
}

fn execution_is_named(run: &Observed) {
    asked_for_order_6(the_line(run, "exec", "exec", "ENOMEM"), "fw_load_binary");
}

fn mount_is_named(run: &Observed) {
    asked_for_order_6(the_line(run, "mount", "mount", "ENOMEM"), "fw_fill_super");
}

fn link_is_named(run: &Observed) {
    asked_for_order_6(the_line(run, "link", "link", "ENOMEM"), "fw_newlink");
}

fn plugins_link_is_named(run: &Observed) {
    let line = the_line(run, "plugin", "link", "ENOMEM");
    assert_eq!(line["comm"], "bridge", "{line:#}");
    asked_for_order_6(line, "fw_newlink");
}

/// The allocation that failed in it stands with its zone and its stack, which names the module's function.
fn asked_for_order_6(line: &Value, function: &str) {
    let allocation = &line["allocations"][0];
    assert_eq!(allocation["order"], 6, "{line:#}");
    assert!(!allocation["zone"].is_null(), "{line:#}");
    let stack = allocation["stack"].as_array().expect("a stack");
    let names = |name: &Value| {
        // The compiler may have inlined what takes the block, or not.
        name == function || name == "fw_take_block"
    };
    assert!(stack.iter().take(2).any(names), "{line:#}");
}

fn keyring_is_named(run: &Observed) {
    let line = the_line(run, "keyring", "keyring", "EDQUOT");
    let because = line["verdict"]["because"].to_string();
    assert!(because.contains("kernel.keys.maxkeys") && because.contains("4004"), "{line:#}");
}

fn filter_is_named(run: &Observed) {
    let line = the_line(run, "seccomp", "seccomp", "ENOMEM");
    assert!(!line["charges_failed"][0]["memcg"].is_null(), "{line:#}");
}

fn program_is_named(run: &Observed) {
    let line = the_line(run, "device-filter", "bpf-program", "EPERM");
    assert!(line["verdict"]["because"].to_string().contains("RLIMIT_MEMLOCK"), "{line:#}");
}

fn entry_is_named(run: &Observed) {
    let line = the_line(run, "cpuset", "cgroup-entry", "ENOSPC");
    assert!(line["verdict"]["because"].to_string().contains("cpuset"), "{line:#}");
}
