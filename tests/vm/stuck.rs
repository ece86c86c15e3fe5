//! A creation that doesn't end is reported while it is under way, with what it waits for; one that ends at once is
//! not.

use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

/// Those of the capabilities in the documentation that tracing needs on the kernels of this test.
const CAPABILITIES: &str =
    "CAP_BPF,CAP_PERFMON,CAP_SYSLOG,CAP_DAC_READ_SEARCH,CAP_SYS_RESOURCE,CAP_IPC_LOCK";

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("stuck", TRACE).on(Kernels::DefaultFirst).facts(facts![
            is_reported_after_ten_seconds_and_every_minute,
            what_it_waits_for_is_named,
            the_control_is_not_reported,
        ]),
        Plan::new("stuck", TRACE)
            .named("stuck-unprivileged")
            .on(Kernels::EverySlow)
            .with_capabilities(CAPABILITIES)
            .facts(facts![
                is_reported_after_ten_seconds_and_every_minute,
                what_it_waits_for_is_named,
            ]),
        Plan::new("stuck", &["trace"])
            .named("stuck-text")
            .on(Kernels::SlowDefaultOnly)
            .facts(facts![text_says_what_it_waits_for]),
    ]
}

fn lines(run: &Observed) -> Vec<&Value> {
    run.json.iter().filter(|line| line["type"] == "unfinished").collect()
}

fn pid(run: &Observed) -> u64 {
    let said = run.run.stream("node").find_map(|line| {
        line.strip_prefix("process ")?.strip_suffix(" makes a network namespace")?.parse().ok()
    });
    said.expect("the guest says which process it is")
}

fn is_reported_after_ten_seconds_and_every_minute(run: &Observed) {
    run.assert_complete();
    let lines = lines(run);
    assert_eq!(lines.len(), 2, "{:#?}", run.json);
    let seconds = |line: &Value| line["open_us"].as_u64().expect("a time") / 1_000_000;
    assert!((10..=17).contains(&seconds(lines[0])), "{:#}", lines[0]);
    assert!((70..=85).contains(&seconds(lines[1])), "{:#}", lines[1]);
    for line in lines {
        assert_eq!((&line["state"], &line["step"]), (&"under-way".into(), &"namespaces".into()));
        assert_eq!(line["pid"], pid(run), "{line:#}");
        assert_eq!(line["comm"], "runc:[1:CHILD]", "{line:#}");
        let path = line["cgroup"]["path"].as_str().expect("a path");
        assert!(path.starts_with("/kubepods/burstable/pod0bad0bad-"), "{line:#}");
        assert!(line["container"]["id"].is_string(), "{line:#}");
    }
}

fn what_it_waits_for_is_named(run: &Observed) {
    let waits: Vec<&str> =
        lines(run).iter().filter_map(|line| line["waits_for"].as_str()).collect();
    let [lock, sleep] = waits.as_slice() else { panic!("not two: {waits:#?}") };
    assert!(lock.contains("pernet_ops_rwsem"), "{lock}");
    assert_eq!(*sleep, "time to pass: fw_pernet_init [fragwatch_pernet] sleeps");
    for line in lines(run) {
        let stack = line["stack"].as_array().expect("a list");
        assert!(stack.iter().any(|function| function == "copy_net_ns"), "{line:#}");
    }
}

fn the_control_is_not_reported(run: &Observed) {
    let of_control = |line: &&Value| {
        line["cgroup"]["path"].as_str().is_some_and(|path| path.contains("pod900d900d-"))
    };
    assert_eq!(run.json.iter().find(of_control), None);
    let creations = &run.summary()["creations"];
    assert_eq!(creations["unfinished"], 0, "{creations}");
}

fn text_says_what_it_waits_for(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    let lines: Vec<&str> = run.run.stream("fragwatch-out").collect();
    let said: Vec<&&str> = lines.iter().filter(|line| line.contains("still under way")).collect();
    assert_eq!(said.len(), 2, "{lines:#?}");
    assert!(said[0].contains("pernet_ops_rwsem"), "{lines:#?}");
}
