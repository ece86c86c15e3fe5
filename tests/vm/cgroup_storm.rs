//! A thousand cgroups come and go beside ten containers that fail to start, whose own cgroups are removed
//! at once: all ten are named, and memory stays bounded.

use serde_json::Value;

use crate::observed::{Observed, TRACE};
use crate::plan::{Kernels, Plan, facts};

pub(crate) fn plans() -> Vec<Plan> {
    let facts = facts![all_ten_containers_are_named, nothing_is_lost_and_memory_is_bounded];
    vec![Plan::new("cgroup-storm", TRACE).on(Kernels::OldestAndDefault).facts(facts)]
}

/// One of the guest's streams.
fn objects(run: &Observed, stream: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).expect("the guest writes JSON");
    run.run.stream(stream).map(parse).collect()
}

fn all_ten_containers_are_named(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    let containers = objects(run, "outcome");
    assert_eq!(containers.len(), 10);
    for container in &containers {
        let of_it = |line: &&&Value| line["container"]["id"] == container["id"];
        let creations = run.creations();
        let found: Vec<&&Value> = creations.iter().filter(of_it).collect();
        assert_eq!(found.len(), 1, "one line about {container}: {:#?}", run.json);
        let found = found[0];
        assert_eq!(found["outcome"], "failed", "{found:#}");
        assert_eq!(found["errno"], container["errno"], "{found:#}");
        let path = format!(
            "/kubepods/burstable/pod{}/{}",
            container["pod_uid"].as_str().expect("a uid"),
            container["id"].as_str().expect("an id")
        );
        assert_eq!(found["cgroup"]["path"], path, "{found:#}");
        let named = run.container_of(found);
        assert_eq!(named["pod_uid"], container["pod_uid"], "{named:#}");
        assert_eq!(named["pod"], container["pod"], "{named:#}");
        assert_eq!(named["namespace"], "shop", "{named:#}");
        assert_eq!(named["named_by"], "pod-logs", "{named:#}");
        assert_eq!(found["candidates"], serde_json::json!([]), "{found:#}");
    }
}

/// Memory is bounded by what fragwatch keeps of cgroups: that is anonymous memory. Pages of the program's file are
/// given back before `ready`, and come again as their code runs.
fn nothing_is_lost_and_memory_is_bounded(run: &Observed) {
    assert_eq!(run.summary()["lost"], 0, "{}", run.summary());
    let storm = objects(run, "storm").pop().expect("the guest reports its storm");
    assert!(storm["cgroups"].as_u64() >= Some(1000), "{storm}");
    let anonymous = |stream: &str| objects(run, stream)[0]["anon_kib"].as_u64().expect("a size");
    let grown = anonymous("measure-later").saturating_sub(anonymous("measure"));
    assert!(grown < 2 * 1024, "{grown} KiB more than when it was ready");
}
