//! Real container runtimes: what fragwatch says of whom they start is never wrong.

mod slow {
    use xtask::vm::runtimes::{self, Judged, Phase, RUNTIMES};

    use crate::observed::Scenario;

    const CONTAINERS: u32 = 10;

    static RUNS: Scenario =
        Scenario::new("runtimes", "runtimes", &runtimes::ARGS).with_containers(CONTAINERS);

    fn judged() -> Vec<Judged> {
        RUNS.assert_complete();
        runtimes::judge(&RUNS.run).expect("the run can be judged")
    }

    fn starts(judged: &[Judged], runtime: &str, phase: Phase) -> usize {
        let belongs = |one: &&Judged| one.truth.runtime == runtime && one.truth.phase == phase;
        judged.iter().filter(belongs).filter(|one| !one.creations.is_empty()).count()
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn nobody_is_taken_for_another() {
        let judged = judged();
        let wrong: Vec<String> = judged.iter().flat_map(Judged::wrong).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", runtimes::table(&judged));
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn each_runtimes_starts_and_failure_are_told() {
        let judged = judged();
        for runtime in RUNTIMES {
            let table = runtimes::table(&judged);
            let successes = starts(&judged, runtime, Phase::Success);
            assert!(successes >= CONTAINERS as usize, "{runtime}\n{table}");
            assert_eq!(starts(&judged, runtime, Phase::Failure), 1, "{runtime}\n{table}");
        }
    }

    #[test]
    #[ignore = "boots a VM; run by cargo xtask test --slow"]
    fn the_pod_that_containerd_could_not_start_is_a_candidate() {
        let judged = judged();
        let failed = judged
            .iter()
            .find(|one| one.truth.runtime == "containerd" && one.truth.phase == Phase::Failure);
        let failed = failed.expect("containerd fails once");
        let uid = failed.truth.pod_uid.as_deref().expect("each sandbox has a pod");
        let names_it = failed.creations.iter().any(|creation| {
            let candidates = creation["candidates"].as_array();
            candidates.is_some_and(|all| all.iter().any(|one| one["pod_uid"] == uid))
        });
        assert!(names_it, "{uid} is not among the candidates of {:#?}", failed.creations);
    }
}
