//! What doctor reports of a node is what happens there; and fragwatch runs as an unprivileged user with
//! some capabilities alone.

use harness::kernel::Series;
use serde_json::{Value, json};

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts, is_oldest};

/// All that fragwatch can use, but `CAP_SYS_ADMIN`, and `CAP_SYSLOG` that it needs before 5.13.
const CAPABILITIES: &str = "CAP_BPF,CAP_PERFMON,CAP_DAC_READ_SEARCH,CAP_SYS_RESOURCE,CAP_IPC_LOCK,\
                            CAP_SYS_NICE";

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("doctor", TRACE).facts(facts![
            complete_node_has_full_standing,
            hidden_symbols_cost_nothing,
            missing_tracefs_costs_nothing,
            missing_btf_prevents_everything,
            missing_capabilities_are_named,
            each_capability_has_its_effect,
            unneeded_capabilities_are_given_back_by_root,
        ]),
        // Before 5.13 names of functions take `CAP_SYSLOG`, and reading maps `CAP_BPF`.
        Plan::new("order6", TRACE)
            .named("order6-unprivileged")
            .with_capabilities(CAPABILITIES)
            .on(Kernels::DefaultFirst)
            .facts_on(
                is_newer,
                facts![
                    unprivileged_user_sees_the_failure,
                    unneeded_capabilities_are_given_back_by_a_user,
                ],
            )
            .facts_on(is_oldest, facts![unprivileged_user_sees_the_zones]),
    ]
}

/// Exit code and report of one run.
fn report<'a>(run: &'a Observed, name: &str) -> (&'a str, Value) {
    let (code, stderr) = ending(run, name);
    assert_eq!(stderr, "", "{name} has nothing to warn of");
    let head = format!("{name} printed: ");
    let line = run.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    let line = line.unwrap_or_else(|| panic!("{name} printed nothing"));
    (code, serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

/// Exit code and standard error of one run.
fn ending<'a>(run: &'a Observed, name: &str) -> (&'a str, &'a str) {
    let head = format!("{name} exited ");
    let line = run.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    let line = line.unwrap_or_else(|| panic!("the guest sent no exit code of {name}"));
    line.split_once(':').map_or((line, ""), |(code, stderr)| (code, stderr.trim()))
}

/// The run of that name has this exit code, and lost exactly these hooks.
#[track_caller]
fn check(run: &Observed, name: &str, code: &str, lost: &[&str]) -> Value {
    let (found, report) = report(run, name);
    assert_eq!(found, code, "{name}: {report:#}");
    assert_eq!(report["exit_code"].to_string(), code, "{name}");
    let hooks = report["hooks"].as_array().expect("a list of hooks");
    let poorer: Vec<&str> = hooks
        .iter()
        .filter(|hook| !hook["not_seen"].is_null())
        .filter_map(|hook| hook["name"].as_str())
        .collect();
    assert_eq!(poorer, lost, "{name}: {report:#}");
    report
}

#[track_caller]
fn advises(report: &Value, words: &str) {
    assert!(report["advice"].to_string().contains(words), "{:#}", report["advice"]);
}

fn complete_node_has_full_standing(run: &Observed) {
    run.assert_complete();
    let report = check(run, "root", "0", &[]);
    assert_eq!(report["status"], "full");
    assert_eq!(report["not_seen"], json!([]));
    // The same hooks by the same candidates as the one that traces beside it.
    let vias = |hooks: &[Value]| -> Vec<Value> { hooks.iter().map(|h| h["via"].clone()).collect() };
    let hooks = report["hooks"].as_array().expect("a list of hooks");
    assert_eq!(vias(hooks), vias(run.hooks()));
    let kprobes = check(run, "kprobes", "0", &[]);
    assert!(!kprobes["hooks"].to_string().contains("fentry"), "{kprobes:#}");
}

/// This kernel prints names for a program.
fn hidden_symbols_cost_nothing(run: &Observed) {
    let report = check(run, "hidden-symbols", "0", &[]);
    assert_eq!(report["kallsyms"]["names"], true);
    assert_eq!(report["kallsyms"]["addresses"], false);
    assert_eq!(report["not_seen"], json!([]));
    assert_eq!(report["advice"], json!([]));
}

/// Only tracepoints that stand in for kprobes need it: root sees one that nothing else sees, a user without
/// `CAP_SYS_ADMIN` can't.
fn missing_tracefs_costs_nothing(run: &Observed) {
    let found = check(run, "no-tracefs", "0", &[]);
    assert_eq!(found["environment"]["tracefs"], Value::Null);
    assert_eq!(found["environment"]["own_tracefs"], false);
    check(run, "no-tracefs-user", "0", &[]);
    let (code, found) = report(run, "no-tracefs-tracepoints");
    assert_eq!(code, "1");
    assert_eq!(found["environment"]["own_tracefs"], true);
    let netns = &found["hooks"][0];
    assert_eq!((&netns["name"], &netns["state"]), (&json!("netns-setup"), &json!("fallback")));
    assert!(run.run.stream("node").any(|line| line == "tracefs is mounted 0 times"));
    let (code, found) = report(run, "no-tracefs-user-tracepoints");
    assert_eq!((code, &found["hooks"][0]["state"]), ("1", &json!("missing")));
    advises(&found, "mount -t tracefs");
}

fn missing_btf_prevents_everything(run: &Observed) {
    let report = check(run, "no-btf", "2", &[]);
    assert_eq!(report["hooks"], json!([]));
    advises(&report, "CONFIG_DEBUG_INFO_BTF");
}

fn missing_capabilities_are_named(run: &Observed) {
    let (code, report) = report(run, "no-capabilities");
    assert_eq!(code, "2");
    assert_eq!(report["kallsyms"]["names"], true);
    assert!(report["btf"]["bytes"].as_u64() > Some(1 << 20), "{:#}", report["btf"]);
    let hooks = report["hooks"].as_array().expect("a list of hooks");
    assert!(!hooks.is_empty() && hooks.iter().all(|hook| hook["state"].is_null()), "{hooks:#?}");
    advises(&report, "CAP_BPF and CAP_PERFMON");
}

/// `CAP_BPF` and `CAP_PERFMON` are enough for all hooks, also where perf events take `CAP_SYS_ADMIN`.
fn each_capability_has_its_effect(run: &Observed) {
    check(run, "sight", "0", &[]);
    let paranoid = check(run, "paranoid", "0", &[]);
    assert_eq!(paranoid["not_seen"], json!([]));
    for name in ["CAP_BPF", "CAP_PERFMON"] {
        let (code, report) = report(run, &format!("without-{name}"));
        assert_eq!(code, "2");
        let obstacle = report["obstacle"].as_str().unwrap_or_default();
        assert!(obstacle.contains(&format!("needs {name},")), "{obstacle}");
    }
    check(run, "without-CAP_SYSLOG", "0", &[]);
    check(run, "without-CAP_DAC_READ_SEARCH", "0", &[]);
    let (code, stderr) = ending(run, "trace-without-CAP_PERFMON");
    assert_eq!(code, "2");
    assert!(stderr.contains("needs CAP_PERFMON, which this process does not have"), "{stderr}");
}

/// All of a run: modules are loaded after it began, names are found, maps are read, and it
/// detaches.
fn unprivileged_user_sees_the_failure(run: &Observed) {
    run.assert_complete();
    assert_eq!(run.run.stream("fragwatch-err").next(), None);
    let lost = run.hooks().iter().find(|hook| !hook["not_seen"].is_null());
    assert_eq!(lost, None);
    let container = *run.containers("failed").last().expect("one failed");
    let failed = run.creations_that("failed");
    let creation = failed
        .iter()
        .find(|creation| creation["container"]["id"] == container)
        .unwrap_or_else(|| panic!("{container} is not in {failed:#?}"));
    assert_eq!(creation["verdict"]["cause"], "fragmentation", "{creation:#}");
    let site = &creation["allocations"].as_array().and_then(|all| all.last()).expect("one")["site"];
    assert_eq!(site, "fw_pernet_init", "{creation:#}");
    assert_eq!(creation["errno"], "ENOMEM");
}

fn is_newer(series: &Series) -> bool {
    !is_oldest(series)
}

/// The cause, and that names are hidden.
fn unprivileged_user_sees_the_zones(run: &Observed) {
    run.assert_complete();
    let failed = run.creations_that("failed");
    let verdict = &failed.last().expect("one failed")["verdict"];
    assert_eq!(verdict["cause"], "fragmentation", "{verdict:#}");
    assert_eq!(verdict["confidence"], "medium", "{verdict:#}");
    let hidden = json!(["whether an interrupt made the allocation: names are hidden"]);
    assert_eq!(verdict["not_seen"], hidden, "{verdict:#}");
}

/// The bit of `CAP_IPC_LOCK` (include/uapi/linux/capability.h).
const KEPT: u64 = 1 << 14;
/// `CAP_DAC_READ_SEARCH`, which the thread that looks up names keeps.
const READING: u64 = 1 << 2;

fn unneeded_capabilities_are_given_back_by_a_user(run: &Observed) {
    unneeded_capabilities_are_given_back(run, false);
}

fn unneeded_capabilities_are_given_back_by_root(run: &Observed) {
    unneeded_capabilities_are_given_back(run, true);
}

fn unneeded_capabilities_are_given_back(run: &Observed, root: bool) {
    let threads: Vec<&str> = run.run.stream("capabilities").collect();
    assert!(threads.len() >= 2, "the watchdog is a thread of its own: {threads:?}");
    let (mut kept, mut reading) = (0, 0);
    for thread in threads {
        let word = |name: &str| {
            let word =
                thread.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
            word.unwrap_or_else(|| panic!("no {name} in {thread}"))
        };
        let set = |name: &str| u64::from_str_radix(word(name), 16).expect("a mask");
        if word("Name") == "lookup" {
            reading |= set("CapPrm");
        } else {
            kept |= set("CapPrm");
            assert_eq!(set("CapPrm") & !KEPT, 0, "{thread}");
        }
        assert_eq!(set("CapEff"), set("CapPrm"), "{thread}");
        assert_eq!((set("CapInh"), set("CapAmb")), (0, 0), "{thread}");
        // An unprivileged user may not change it, and starts nothing.
        assert!(!root || set("CapBnd") == 0, "{thread}");
    }
    assert_eq!((kept, reading), (KEPT, READING));
}
