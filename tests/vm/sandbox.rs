//! Namespaces of programs that run for long are no containers: they are counted, and reported with `--all` only. A
//! container's that fails beside them is reported.

use serde_json::Value;

use crate::causes;
use crate::observed::{Observed, TRACE, TRACE_ALL};
use crate::plan::{Kernels, Plan, facts};

/// As in the guest: programs, and how many sandboxes of each are refused.
const COMMS: [&str; 4] = ["chrome", "Web Content", "bwrap", "(httpd)"];
const REFUSED: u64 = 30;

pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan::new("sandbox", TRACE).on(Kernels::DefaultFirst).facts(facts![
            sandboxes_are_counted_and_not_reported,
            container_beside_them_is_reported,
            causes::no_control_failed,
        ]),
        Plan::new("sandbox", TRACE_ALL)
            .named("sandbox-all")
            .on(Kernels::SlowDefaultOnly)
            .facts(facts![with_all_they_are_reported]),
    ]
}

fn of_programs(run: &Observed) -> Vec<&Value> {
    let is_programs = |line: &&Value| COMMS.iter().any(|comm| line["comm"] == *comm);
    run.json.iter().filter(is_programs).collect()
}

fn sandboxes_are_counted_and_not_reported(run: &Observed) {
    run.assert_complete();
    assert_eq!(of_programs(run), Vec::<&Value>::new());
    let counted = run.summary()["other_namespaces"].as_u64();
    assert_eq!(counted, Some(COMMS.len() as u64 * REFUSED), "{}", run.summary());
    assert_eq!(run.summary()["creations"]["failed"], 1, "{}", run.summary());
}

fn container_beside_them_is_reported(run: &Observed) {
    let failures = causes::faulty(run, "net");
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!(failures[0]["verdict"]["cause"], "namespace-limit", "{:#}", failures[0]);
}

fn with_all_they_are_reported(run: &Observed) {
    run.assert_complete();
    for comm in COMMS {
        let lines = of_programs(run).into_iter().filter(|line| line["comm"] == comm);
        let failed = lines.filter(|line| !line["errno"].is_null());
        let count = |line: &Value| line["count"].as_u64().unwrap_or(1);
        assert_eq!(failed.map(count).sum::<u64>(), REFUSED, "{comm}: {:#?}", run.json);
    }
}
