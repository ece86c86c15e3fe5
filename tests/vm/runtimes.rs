//! Real container runtimes: what fragwatch reports of their containers is never wrong.

use harness::judge::runtimes::{self, Judged, Phase, RUNTIMES};

use crate::observed::Observed;
use crate::plan::{Kernels, Plan, facts};

/// Each runtime starts so many before memory is fragmented.
const CONTAINERS: u32 = 10;

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![
        no_fact_is_wrong,
        starts_and_failure_of_each_runtime_are_reported,
        pod_that_containerd_could_not_start_is_a_candidate,
    ];
    vec![Plan::new("runtimes", &runtimes::ARGS).on(Kernels::SlowDefaultOnly).facts(facts)]
}

fn judged(run: &Observed) -> Vec<Judged> {
    run.assert_complete();
    runtimes::judge(&run.run).expect("the run can be judged")
}

fn starts(judged: &[Judged], runtime: &str, phase: Phase) -> usize {
    let belongs = |one: &&Judged| one.truth.runtime == runtime && one.truth.phase == phase;
    judged.iter().filter(belongs).filter(|one| !one.creations.is_empty()).count()
}

fn no_fact_is_wrong(run: &Observed) {
    let judged = judged(run);
    let wrong: Vec<String> = judged.iter().flat_map(Judged::wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", runtimes::table(&judged));
}

fn starts_and_failure_of_each_runtime_are_reported(run: &Observed) {
    let judged = judged(run);
    for runtime in RUNTIMES {
        let table = runtimes::table(&judged);
        let successes = starts(&judged, runtime, Phase::Success);
        assert!(successes >= CONTAINERS as usize, "{runtime}\n{table}");
        assert_eq!(starts(&judged, runtime, Phase::Failure), 1, "{runtime}\n{table}");
    }
}

fn pod_that_containerd_could_not_start_is_a_candidate(run: &Observed) {
    let judged = judged(run);
    let failed = judged
        .iter()
        .find(|one| one.truth.runtime == "containerd" && one.truth.phase == Phase::Failure);
    let failed = failed.expect("containerd fails once");
    let uid = failed.truth.identity.pod_uid.as_deref().expect("each sandbox has a pod");
    let names_it = failed.creations.iter().any(|creation| {
        let candidates = creation["candidates"].as_array();
        candidates.is_some_and(|all| all.iter().any(|one| one["pod_uid"] == uid))
    });
    assert!(names_it, "{uid} is not among the candidates of {:#?}", failed.creations);
}
