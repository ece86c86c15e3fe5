//! `fragwatch reproduce` on a node with nothing but runc and busybox: failures and their controls, exit
//! codes, and the node as it was before.

use serde_json::Value;

use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let short = facts![short_cases_have_their_exit_codes, nothing_is_left, order_6_fails_for_it];
    let all = facts![
        short_cases_have_their_exit_codes,
        fast_cases_have_their_exit_codes,
        other_cases_have_their_exit_codes,
        nothing_is_left,
        order_6_fails_for_it,
        limits_are_named,
        incident_is_approached,
        machine_formats_hold_the_result,
    ];
    vec![
        Plan::new("reproduce", &["short"]).facts(short),
        Plan::new("reproduce", &["all"]).named("reproduce-all").on(Kernels::EverySlow).facts(all),
        Plan::new("reproduce", &["v1"])
            .named("reproduce-v1")
            .with_v1_cgroups()
            .on(Kernels::EverySlow)
            .facts(facts![v1_cases_have_their_exit_codes, nothing_is_left]),
        Plan::new("reproduce", &["memory"])
            .named("reproduce-memory")
            .on(Kernels::EverySlow)
            .facts(facts![memory_cases_have_their_exit_codes, nothing_is_left]),
        Plan::new("reproduce", &["no-memcg"])
            .named("reproduce-no-memcg")
            .append("cgroup_disable=memory")
            .on(Kernels::SlowDefaultOnly)
            .facts(facts![causes_without_a_controller_are_refused, nothing_is_left]),
        Plan::new("reproduce-swap", &["swap"])
            .on(Kernels::SlowDefaultOnly)
            .facts(facts![swap_cases_have_their_exit_codes, nothing_is_left]),
        Plan::new("reproduce", &["recipes"])
            .named("reproduce-recipes")
            .on(Kernels::SlowDefaultOnly)
            .facts(facts![recipes_do_as_the_page_says, nothing_is_left]),
        Plan::new("reproduce-ids", &["memcg-ids"])
            .on(Kernels::EverySlow)
            .facts(facts![ids_are_used_up, nothing_is_left]),
        states("reproduce-512m"),
        states("reproduce-2g"),
        states("reproduce-6g"),
        states("reproduce-512m-4-nodes"),
        states("reproduce-2g-4-nodes"),
        states("reproduce-6g-4-nodes"),
    ]
}

/// Twenty times the same state, in machines of several sizes.
fn states(scenario: &'static str) -> Plan {
    Plan::new(scenario, &["states"])
        .on(Kernels::SlowDefaultOnly)
        .facts(facts![state_is_reached_each_time, nothing_is_left])
}

/// Exit code and standard error of each run of that name.
fn endings<'a>(run: &'a Observed, name: &str) -> Vec<(&'a str, &'a str)> {
    let head = format!("{name} exited ");
    let lines = run.run.stream("node").filter_map(|line| line.strip_prefix(head.as_str()));
    lines
        .map(|line| line.split_once(':').map_or((line, ""), |(code, text)| (code, text.trim())))
        .collect()
}

/// What a run printed, line by line.
fn printed<'a>(run: &'a Observed, name: &str) -> Vec<&'a str> {
    let head = format!("{name} printed: ");
    run.run.stream("node").filter_map(|line| line.strip_prefix(head.as_str())).collect()
}

/// The last lines of all runs of that name: their results.
fn results(run: &Observed, name: &str) -> Vec<Value> {
    let lines = printed(run, name).into_iter().filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(|line: &Value| line["type"] == "reproduce").collect()
}

fn result(run: &Observed, name: &str) -> Value {
    let mut results = results(run, name);
    assert_eq!(results.len(), 1, "{name} has one result: {:?}", endings(run, name));
    results.remove(0)
}

#[track_caller]
fn assert_codes(run: &Observed, expected: &[(&str, &str)]) {
    assert_eq!(run.run.exit_code, 0, "the cases ran to their end");
    let wrong: Vec<String> = expected
        .iter()
        .filter_map(|(name, code)| {
            let ends = endings(run, name);
            let right = ends.len() == 1 && ends[0].0 == *code;
            (!right)
                .then(|| format!("{name}: {ends:?}, expected {code}; {:#?}", printed(run, name)))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[track_caller]
fn assert_sentences(run: &Observed, expected: &[(&str, &str)]) {
    for (name, sentence) in expected {
        let stderr = endings(run, name)[0].1;
        assert!(stderr.contains(sentence), "{name}: {stderr}");
    }
}

fn short_cases_have_their_exit_codes(run: &Observed) {
    assert_codes(
        run,
        &[
            ("order-6-control", "0"),
            ("order-6", "0"),
            ("netns", "0"),
            ("netns-control", "0"),
            ("large-order", "2"),
            ("no-state", "2"),
        ],
    );
    assert_sentences(
        run,
        &[("large-order", "order 30 can't lack"), ("no-state", "is not the state of a machine")],
    );
}

fn fast_cases_have_their_exit_codes(run: &Observed) {
    assert_codes(
        run,
        &[
            ("order-6-not-expected", "1"),
            ("pids", "0"),
            ("killed", "by a signal"),
            ("no-program", "2"),
            ("large-keep", "2"),
        ],
    );
    assert_sentences(
        run,
        &[
            ("no-program", "there is no program /no/such/program"),
            ("large-keep", "can't be left free"),
        ],
    );
}

fn other_cases_have_their_exit_codes(run: &Observed) {
    assert_codes(
        run,
        &[
            ("pids-control", "0"),
            ("memcg", "0"),
            ("memcg-control", "0"),
            ("hanging", "1"),
            ("failing", "1"),
            ("no-root", "2"),
            ("dry-run", "0"),
            ("like", "0"),
            ("like-capture", "0"),
            ("convert", "0"),
            ("like-converted", "0"),
            ("save", "0"),
            ("like-healthy", "2"),
            ("junit", "0"),
            ("github", "0"),
            ("order-6-huge-pages", "0"),
        ],
    );
    assert_eq!(result(run, "hanging")["command"]["timed_out"], true);
    assert_eq!(result(run, "failing")["command"]["exit_code"], 1);
    assert!(endings(run, "no-root")[0].1.contains("needs root"));
}

fn v1_cases_have_their_exit_codes(run: &Observed) {
    assert_codes(
        run,
        &[
            ("order-6-control", "0"),
            ("pids", "0"),
            ("pids-control", "0"),
            ("memcg", "0"),
            ("memcg-control", "0"),
            ("order-6", "0"),
        ],
    );
}

fn causes_without_a_controller_are_refused(run: &Observed) {
    assert_codes(run, &[("memcg", "2"), ("ids", "2")]);
    let sentence = "this kernel has no memory controller for cgroups";
    assert_sentences(run, &[("memcg", sentence), ("ids", sentence)]);
}

fn swap_cases_have_their_exit_codes(run: &Observed) {
    let swaps =
        run.run.stream("dmesg").find(|line| line.contains("Adding") && line.contains("swap"));
    assert!(swaps.is_some(), "the machine has swap");
    assert_codes(
        run,
        &[("order-6-control", "0"), ("memcg", "0"), ("order-6", "0"), ("stall", "0")],
    );
}

fn ids_are_used_up(run: &Observed) {
    assert_codes(run, &[("ids-control", "0"), ("ids", "0")]);
}

fn memory_cases_have_their_exit_codes(run: &Observed) {
    assert_codes(
        run,
        &[
            ("slab-control", "0"),
            ("page-cache-control", "0"),
            ("stall-control", "0"),
            ("oom-control", "0"),
            ("oom", "0"),
            ("exhaustion-control", "0"),
            ("exhaustion", "0"),
            ("slab", "0"),
            ("stall", "0"),
            ("page-cache", "0"),
        ],
    );
}

/// The exit codes of fragwatch in each recipe, one after the other.
fn recipes_do_as_the_page_says(run: &Observed) {
    for (name, codes) in [
        ("my-kernel-module", &["0", "1"][..]),
        ("my-cni-plug-in", &["0"]),
        ("my-runtime-upgrade", &["0", "0"]),
        ("my-operators-error-handling", &["0"]),
        ("my-node-images-settings", &["0", "0", "0", "0"]),
    ] {
        let lines = printed(run, name);
        let exited: Vec<&str> =
            lines.iter().filter_map(|line| line.strip_prefix("fragwatch exited ")).collect();
        assert_eq!(exited, codes, "{name}: {lines:#?} {:#?}", endings(run, name));
    }
    let module = printed(run, "my-kernel-module").join("\n");
    assert!(module.contains("fw_pernet_init") && module.contains("256 KiB"), "{module}");
    let settings = printed(run, "my-node-images-settings").join("\n");
    // As it happens, and as it is replayed, with the settings of both.
    let waits = settings.matches(" of waiting for memory").count();
    assert!(waits >= 4, "{waits}: {settings}");
}

fn nothing_is_left(run: &Observed) {
    let left: Vec<&str> = run.run.stream("node").filter(|line| line.contains(" left: ")).collect();
    assert!(left.is_empty(), "{left:#?}");
    for line in run.run.stream("node").filter_map(|line| line.split_once(" printed: ")) {
        if let Ok(result) = serde_json::from_str::<Value>(line.1)
            && result["type"] == "reproduce"
        {
            assert_eq!(result["not_undone"], serde_json::json!([]), "{result:#}");
        }
    }
}

/// No free block of the order when it was reached, and the creation failed for it.
fn order_6_fails_for_it(run: &Observed) {
    let result = result(run, "order-6");
    assert_eq!(result["state"]["order"], 6);
    assert!(result["state"]["fragmentation_index"].as_f64() > Some(0.5), "{result:#}");
    let zones = result["state"]["zones"].as_array().expect("zones are listed");
    let offers: Vec<&str> = zones.iter().filter_map(|zone| zone["offer"].as_str()).collect();
    assert!(offers.contains(&"fragmented") && !offers.contains(&"usable"), "{result:#}");
    assert_eq!(result["creations"]["causes"], serde_json::json!(["fragmentation"]), "{result:#}");
    let creations: Vec<Value> = printed(run, "order-6")
        .into_iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["type"] == "creation" && line["outcome"] == "failed")
        .collect();
    assert_eq!(creations.len(), 1, "{creations:#?}");
    let allocations = creations[0]["allocations"].as_array().expect("they are listed");
    assert!(allocations.iter().any(|one| one["order"] == 6), "{creations:#?}");
}

fn limits_are_named(run: &Observed) {
    for (name, cause) in
        [("pids", "pids-limit"), ("netns", "namespace-limit"), ("memcg", "memcg-limit")]
    {
        let result = result(run, name);
        assert_eq!(result["creations"]["causes"], serde_json::json!([cause]), "{result:#}");
    }
}

/// The blocks of the node in the incident: none above order 3.
fn incident_is_approached(run: &Observed) {
    let result = result(run, "like");
    let distance = result["state"]["distance"].as_array().expect("it is listed");
    let of = |order: usize, what: &str| distance[order][what].as_u64().unwrap_or_default();
    for order in 0..4 {
        let (wanted, reached) = (of(order, "wanted"), of(order, "reached"));
        assert!(wanted > 100, "{result:#}");
        // A tenth: processors keep some pages in lists of their own.
        assert!(wanted.abs_diff(reached) * 10 <= wanted, "order {order}: {result:#}");
    }
    for order in 4..distance.len() {
        assert_eq!((of(order, "wanted"), of(order, "reached")), (0, 0), "{result:#}");
    }
}

fn machine_formats_hold_the_result(run: &Observed) {
    let junit = printed(run, "junit").join("\n");
    assert!(
        junit.contains("<testsuite name=\"fragwatch reproduce\" tests=\"1\" failures=\"0\""),
        "{junit}"
    );
    let github = printed(run, "github").join("\n");
    assert!(
        github.contains("::notice title=fragwatch reproduce netns-limit::as expected"),
        "{github}"
    );
}

/// In twenty of twenty runs, with its index; and quickly where the machine is small.
fn state_is_reached_each_time(run: &Observed) {
    let results = results(run, "order-4");
    assert_eq!(results.len(), 20, "{:?}", endings(run, "order-4"));
    for result in &results {
        assert_eq!(result["result"], "as-expected", "{result:#}");
        let state = &result["state"];
        assert!(state["fragmentation_index"].as_f64() > Some(0.4), "{result:#}");
        let zones = state["zones"].as_array().expect("zones are listed");
        assert!(zones.iter().all(|zone| zone["offer"] != "usable"), "{result:#}");
        let free: u64 = zones.iter().filter_map(|zone| zone["free_kib"].as_u64()).sum();
        assert!(free >= 128 << 10, "{result:#}");
    }
    let killed = run.run.stream("dmesg").find(|line| line.contains("Out of memory: Killed"));
    assert_eq!(killed, None);
    let slowest = results.iter().filter_map(|result| result["state"]["took_us"].as_u64()).max();
    eprintln!("    {} was reached in {} ms at most", run.scenario, slowest.unwrap_or(0) / 1000);
    if !run.scenario.starts_with("reproduce-6g") {
        assert!(slowest < Some(30_000_000), "{slowest:?}");
    }
}
