//! A thousand cgroups come and go beside ten containers that fail to start, whose own cgroups are gone at
//! once: all ten are named, and memory stays bounded.

use serde_json::Value;

use crate::observed::{Observed, Scenario};

static ON_6_12: Scenario = storm();
static ON_5_10: Scenario = storm().on("5.10");

const fn storm() -> Scenario {
    Scenario::new("cgroup-storm", "cgroup-storm", &["trace", "--format", "json"])
}

/// What the guest says on one of its streams, one object a line.
fn told(run: &Observed, stream: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).expect("the guest writes JSON");
    run.run.stream(stream).map(parse).collect()
}

fn all_ten_are_named(run: &Observed) {
    assert_eq!(run.run.exit_code, 0);
    let containers = told(run, "outcome");
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
        let told = run.container_of(found);
        assert_eq!(told["pod_uid"], container["pod_uid"], "{told:#}");
        assert_eq!(told["pod"], container["pod"], "{told:#}");
        assert_eq!(told["namespace"], "shop", "{told:#}");
        assert_eq!(told["named_by"], "pod-logs", "{told:#}");
        assert_eq!(found["candidates"], serde_json::json!([]), "{found:#}");
    }
}

/// All of the storm was seen, and nothing was lost; it took no more memory than what it keeps may.
fn the_storm_was_one_and_is_bounded(run: &Observed) {
    assert_eq!(run.summary()["lost"], 0, "{}", run.summary());
    let storm = told(run, "storm").pop().expect("the guest tells of its storm");
    assert!(storm["cgroups"].as_u64() >= Some(1000), "{storm}");
    let rss = |stream: &str| told(run, stream)[0]["vm_rss_kib"].as_u64().expect("a size");
    let grown = rss("measure-later").saturating_sub(rss("measure"));
    assert!(grown < 3 * 1024, "{grown} KiB more than when it was ready");
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn ten_containers_are_named_in_a_storm_of_cgroups() {
    all_ten_are_named(&ON_6_12);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn a_storm_of_cgroups_loses_nothing() {
    the_storm_was_one_and_is_bounded(&ON_6_12);
}

#[test]
#[ignore = "boots a VM; run by cargo xtask test"]
fn ten_containers_are_named_in_a_storm_of_cgroups_on_5_10() {
    all_ten_are_named(&ON_5_10);
    the_storm_was_one_and_is_bounded(&ON_5_10);
}
