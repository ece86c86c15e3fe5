//! What doctor says of a node is what happens there; and fragwatch watches as an unprivileged user
//! with some capabilities alone.

use serde_json::Value;

use crate::observed::Scenario;

static DOCTOR: Scenario = Scenario::new("doctor", "doctor", &["trace", "--format", "json"]);

/// All that README's table names, but `CAP_SYS_ADMIN`.
const CAPABILITIES: &str = "CAP_BPF,CAP_PERFMON,CAP_SYSLOG,CAP_DAC_READ_SEARCH,CAP_SYS_RESOURCE,\
                            CAP_IPC_LOCK,CAP_SYS_NICE";

static UNPRIVILEGED: Scenario =
    Scenario::new("order6", "order6-unprivileged", &["trace", "--format", "json"])
        .with_capabilities(CAPABILITIES);

/// Exit code and report of one run.
fn report(name: &str) -> (&'static str, Value) {
    let (code, said) = ending(name);
    assert_eq!(said, "", "{name} has nothing to warn of");
    let head = format!("{name} printed: ");
    let line = DOCTOR.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    let line = line.unwrap_or_else(|| panic!("{name} printed nothing"));
    (code, serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

/// Exit code and standard error of one run.
fn ending(name: &str) -> (&'static str, &'static str) {
    let head = format!("{name} exited ");
    let told = DOCTOR.run.stream("node").find_map(|line| line.strip_prefix(head.as_str()));
    let told = told.unwrap_or_else(|| panic!("the scenario told nothing of {name}"));
    told.split_once(':').map_or((told, ""), |(code, said)| (code, said.trim()))
}

/// The run of that name ended so, and lost exactly these hooks.
#[track_caller]
fn check(name: &str, code: &str, lost: &[&str]) -> Value {
    let (found, report) = report(name);
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

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn a_node_with_all_it_needs_is_seen_in_full() {
    DOCTOR.assert_complete();
    let report = check("root", "0", &[]);
    assert_eq!(report["standing"], "full");
    assert_eq!(report["lost"], serde_json::json!([]));
    // The same hooks by the same candidates as the one that traces beside it.
    let vias = |hooks: &[Value]| -> Vec<Value> { hooks.iter().map(|h| h["via"].clone()).collect() };
    let hooks = report["hooks"].as_array().expect("a list of hooks");
    assert_eq!(vias(hooks), vias(DOCTOR.hooks()));
    let kprobes = check("kprobes", "0", &[]);
    assert!(!kprobes["hooks"].to_string().contains("fentry"), "{kprobes:#}");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn hidden_symbols_degrade_and_are_said() {
    let report = check("hidden-symbols", "1", &[]);
    assert_eq!(report["kallsyms"]["names"], true);
    assert_eq!(report["kallsyms"]["addresses"], false);
    assert!(report["lost"].to_string().contains("names of functions"), "{:#}", report["lost"]);
    advises(&report, "sysctl -w kernel.kptr_restrict=1");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn without_tracefs_only_tracepoints_are_lost() {
    let report = check("no-tracefs", "1", &["cgroup_made"]);
    assert_eq!(report["surroundings"]["tracefs"], Value::Null);
    advises(&report, "mount -t tracefs");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn without_type_information_nothing_runs() {
    let report = check("no-btf", "2", &[]);
    assert_eq!(report["hooks"], serde_json::json!([]));
    advises(&report, "CONFIG_DEBUG_INFO_BTF");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn an_unprivileged_user_is_told_what_there_is_and_what_it_takes() {
    let (code, report) = report("no-capabilities");
    assert_eq!(code, "2");
    assert_eq!(report["kallsyms"]["names"], true);
    assert!(report["btf"]["bytes"].as_u64() > Some(1 << 20), "{:#}", report["btf"]);
    let hooks = report["hooks"].as_array().expect("a list of hooks");
    assert!(!hooks.is_empty() && hooks.iter().all(|hook| hook["state"].is_null()), "{hooks:#?}");
    advises(&report, "CAP_BPF and CAP_PERFMON");
}

/// Four capabilities are enough to see all, and none of them is one too many.
#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn each_capability_is_needed_for_what_it_is_said_to_be() {
    check("sight", "0", &[]);
    let poorer = ["slow_path_entered", "allocation_failed", "oom_kill", "cgroup_made"];
    let paranoid = check("paranoid", "1", &poorer);
    advises(&paranoid, "sysctl -w kernel.perf_event_paranoid=2");
    for name in ["CAP_BPF", "CAP_PERFMON"] {
        let (code, report) = report(&format!("without-{name}"));
        assert_eq!(code, "2");
        let obstacle = report["obstacle"].as_str().unwrap_or_default();
        assert!(obstacle.contains(&format!("needs {name},")), "{obstacle}");
    }
    let blind = check("without-CAP_SYSLOG", "1", &[]);
    assert!(blind["lost"].to_string().contains("names of functions"), "{:#}", blind["lost"]);
    advises(&blind, "CAP_SYSLOG");
    let closed = check("without-CAP_DAC_READ_SEARCH", "1", &["cgroup_made"]);
    advises(&closed, "CAP_DAC_READ_SEARCH");
    let (code, said) = ending("trace-without-CAP_PERFMON");
    assert_eq!(code, "2");
    assert!(said.contains("needs CAP_PERFMON, which this process does not have"), "{said}");
}

/// The whole story: modules are loaded after it began, names are found, maps are read, and it
/// detaches.
#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn an_unprivileged_user_sees_the_failure() {
    UNPRIVILEGED.assert_complete();
    assert_eq!(UNPRIVILEGED.run.stream("fragwatch-err").next(), None);
    let lost = UNPRIVILEGED.hooks().iter().find(|hook| !hook["not_seen"].is_null());
    assert_eq!(lost, None);
    let container = *UNPRIVILEGED.containers("failed").last().expect("one failed");
    let failed = UNPRIVILEGED.creations_that("failed");
    let creation = failed
        .iter()
        .find(|creation| creation["container"]["id"] == container)
        .unwrap_or_else(|| panic!("{container} is not in {failed:#?}"));
    assert_eq!(creation["verdict"]["cause"], "fragmentation", "{creation:#}");
    let site = &creation["allocations"].as_array().and_then(|all| all.last()).expect("one")["site"];
    assert_eq!(site, "fw_pernet_init", "{creation:#}");
    assert_eq!(creation["errno"], "ENOMEM");
}

/// Bits of `CAP_IPC_LOCK` and `CAP_SYSLOG` (include/uapi/linux/capability.h).
const KEPT: u64 = 1 << 14 | 1 << 34;
/// `CAP_DAC_READ_SEARCH`, which the thread that looks for names keeps.
const READING: u64 = 1 << 2;

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn what_is_not_needed_any_more_is_given_back() {
    for (scenario, root) in [(&UNPRIVILEGED, false), (&DOCTOR, true)] {
        let threads: Vec<&str> = scenario.run.stream("capabilities").collect();
        assert!(threads.len() >= 2, "the watchdog is a thread of its own: {threads:?}");
        let (mut kept, mut reading) = (0, 0);
        for thread in threads {
            let word = |name: &str| {
                let word =
                    thread.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
                word.unwrap_or_else(|| panic!("no {name} in {thread}"))
            };
            let set = |name: &str| u64::from_str_radix(word(name), 16).expect("a mask");
            if word("Name") == "names" {
                reading |= set("CapPrm");
            } else {
                kept |= set("CapPrm");
                assert_eq!(set("CapPrm") & !KEPT, 0, "{thread}");
            }
            assert_eq!(set("CapEff"), set("CapPrm"), "{thread}");
            assert_eq!((set("CapInh"), set("CapAmb")), (0, 0), "{thread}");
            // Whoever is not root may not change it, and starts nothing.
            assert!(!root || set("CapBnd") == 0, "{thread}");
        }
        assert_eq!((kept, reading), (KEPT, READING));
    }
}
