//! A user whose network namespaces are refused thousands of times neither fills the report nor hides another's
//! failure.

use serde_json::Value;

use crate::causes;
use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

/// As in the guest.
const REFUSALS: u64 = 10_000;
/// The user, and the name that its process gives itself, as in the guest.
const USER: u64 = 1000;
const COMM: &str = "runc:[1:CHILD]";

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        // Alone: the report's delay is judged.
        Plan::new("userns-flood", TRACE).alone().on(Kernels::DefaultFirst).facts(facts![
            real_failure_is_reported_in_time_and_complete,
            report_is_short,
            each_refusal_is_reported_or_counted,
            causes::no_control_failed,
        ]),
        Plan::new("userns-flood", &["trace"])
            .named("userns-flood-text")
            .facts(facts![text_is_short_and_says_how_many_more]),
    ]
}

fn real_failure_is_reported_in_time_and_complete(run: &Observed) {
    run.assert_complete();
    let failures = causes::faulty(run, "order6");
    let [failure] = failures.as_slice() else { panic!("not one line: {failures:#?}") };
    assert_eq!(failure["verdict"]["cause"], "fragmentation", "{failure:#}");
    assert_eq!(failure["verdict"]["confidence"], "high", "{failure:#}");
    let allocations = failure["allocations"].as_array().expect("a list");
    let order6 = allocations.iter().find(|allocation| allocation["order"] == 6);
    assert!(order6.is_some_and(|one| one["zone"].is_object() && one["stack"].is_array()));
    let slowest = run.summary()["slowest_report_us"].as_u64().expect("reports were measured");
    let standstill = run.run.stream("standstill").next().and_then(|us| us.parse::<u64>().ok());
    let standstill = standstill.expect("the guest measures how long it stood still");
    eprintln!("    slowest report {slowest} us, standstill {standstill} us");
    let errors: Vec<&str> = run.run.stream("fragwatch-err").collect();
    assert!(
        slowest < 1_000_000 + standstill,
        "{slowest} us, of which the machine stood still {standstill} us: {errors:#?}"
    );
}

fn report_is_short(run: &Observed) {
    let lines = run.run.stream("fragwatch-out").count();
    assert!(lines <= 30, "{lines} lines: {:#?}", run.json);
}

fn is_the_users(line: &Value) -> bool {
    line["comm"] == COMM && line["errno"] == "ENOSPC"
}

fn each_refusal_is_reported_or_counted(run: &Observed) {
    let lines = run.json.iter().filter(|line| is_the_users(line));
    let (one_by_one, counted): (Vec<&Value>, Vec<&Value>) =
        lines.partition(|line| line["type"] == "creation");
    assert!(one_by_one.len() <= 5, "{one_by_one:#?}");
    assert!(!counted.is_empty(), "{:#?}", run.json);
    let mut all = one_by_one.len() as u64;
    for line in counted {
        assert_eq!(line["type"], "repeats", "{line:#}");
        assert_eq!(
            (&line["step"], &line["user"]),
            (&"namespaces".into(), &USER.into()),
            "{line:#}"
        );
        all += line["count"].as_u64().expect("a count");
    }
    assert_eq!(all, REFUSALS);
    let failed = run.summary()["creations"]["failed"].as_u64();
    assert!(failed > Some(REFUSALS), "{}", run.summary());
}

fn text_is_short_and_says_how_many_more(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    let lines: Vec<&str> = run.run.stream("fragwatch-out").collect();
    let reports = lines.iter().filter(|line| line.contains("FAILED")).count();
    assert!(reports <= 8, "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.contains("more: namespaces, ENOSPC of user 1000")),
        "{lines:#?}"
    );
}
