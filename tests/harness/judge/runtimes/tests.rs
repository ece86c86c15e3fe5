use serde_json::{Value, json};

use super::{Identity, Judged, Phase, Truth, Verdict, cell, join, problems, table};

const ID: &str = "84eb4454a792922a134f7096918175ce07dc930b302278a812c015a97019e937";
const UID: &str = "5eed0001-6f1d-4c57-9a3e-1f0c2d7b8a03";

fn pod(phase: Phase) -> Truth {
    Truth {
        runtime: "containerd".to_owned(),
        phase,
        began_ms: 1_000,
        ended_ms: 2_000,
        identity: Identity {
            id: Some(ID.to_owned()),
            pod_uid: Some(UID.to_owned()),
            pod: Some("web".to_owned()),
            namespace: Some("shop".to_owned()),
            name: None,
        },
    }
}

fn docker() -> Truth {
    let (id, name) = (Some(ID.to_owned()), Some("db".to_owned()));
    let identity = Identity { id, name, ..Identity::default() };
    Truth { runtime: "docker".to_owned(), identity, ..pod(Phase::Success) }
}

fn right() -> Value {
    json!({"runtime": "containerd", "id": ID, "pod_uid": UID, "pod": "web", "namespace": "shop"})
}

fn creation(time: &str, outcome: &str, container: &Value) -> Value {
    json!({"type": "creation", "id": 7, "time": time, "outcome": outcome, "container": container})
}

fn one(truth: Truth, lines: Vec<Value>) -> Judged {
    join(vec![truth], lines).remove(0)
}

const DURING: &str = "1970-01-01T00:00:01.500Z";

#[test]
fn same_facts_are_right() {
    let judged = one(pod(Phase::Success), vec![creation(DURING, "ok", &right())]);
    assert_eq!(judged.verdicts(), [Verdict::Right; 5]);
    assert!(judged.wrong().is_empty());
}

#[test]
fn each_different_fact_is_wrong() {
    for fact in ["id", "pod_uid", "pod", "namespace", "runtime"] {
        let mut container = right();
        container[fact] = "another".into();
        let judged = one(pod(Phase::Success), vec![creation(DURING, "ok", &container)]);
        assert_eq!(judged.wrong().len(), 1, "{fact}: {:?}", judged.wrong());
    }
}

#[test]
fn wrong_creation_outweighs_a_right_one() {
    let mut container = right();
    container["id"] = "another".into();
    let lines = vec![creation(DURING, "ok", &container), creation(DURING, "ok", &right())];
    assert_eq!(one(pod(Phase::Success), lines).verdicts()[0], Verdict::Wrong);
}

#[test]
fn later_line_about_the_container_counts() {
    let unknown = creation(DURING, "failed", &Value::Null);
    let judged = one(pod(Phase::Failure), vec![unknown.clone()]);
    assert_eq!(judged.verdicts(), [Verdict::Unknown; 5]);
    let later = |creation: u64| json!({"type": "container", "creation": creation, "container": null, "candidates": [right()]});
    let judged = one(pod(Phase::Failure), vec![unknown.clone(), later(7)]);
    assert_eq!(judged.verdicts(), [Verdict::Candidate; 5]);
    // Of another creation.
    let judged = one(pod(Phase::Failure), vec![unknown, later(8)]);
    assert_eq!(judged.verdicts(), [Verdict::Unknown; 5]);
}

#[test]
fn wrong_candidates_leave_the_fact_unknown() {
    let mut line = creation(DURING, "failed", &Value::Null);
    line["candidates"] = json!([{"pod_uid": "another"}]);
    assert_eq!(one(pod(Phase::Failure), vec![line]).verdicts(), [Verdict::Unknown; 5]);
}

#[test]
fn creation_of_another_time_or_outcome_is_not_joined() {
    let before = creation("1970-01-01T00:00:00.900Z", "failed", &right());
    let after = creation("1970-01-01T00:00:02.100Z", "failed", &right());
    let well = creation(DURING, "ok", &right());
    assert!(one(pod(Phase::Failure), vec![before, after, well]).creations.is_empty());
}

#[test]
fn pod_of_a_container_without_one_is_wrong() {
    let mut container = json!({"runtime": "docker", "id": ID, "name": "db"});
    let judged = one(docker(), vec![creation(DURING, "ok", &container)]);
    let (right, nothing) = (Verdict::Right, Verdict::Nothing);
    assert_eq!(judged.verdicts(), [right, nothing, right, nothing, right]);
    container["pod"] = "web".into();
    container["namespace"] = "shop".into();
    let judged = one(docker(), vec![creation(DURING, "ok", &container)]);
    assert_eq!(judged.wrong().len(), 2, "{:?}", judged.wrong());
}

#[test]
fn id_that_the_runtime_did_not_return_is_not_judged() {
    let mut truth = pod(Phase::Failure);
    truth.identity.id = None;
    let judged = one(truth, vec![creation(DURING, "failed", &right())]);
    assert_eq!(judged.verdicts()[0], Verdict::Nothing);
}

#[test]
fn unreported_failure_is_a_problem_and_other_failures_are_ignored() {
    let success = creation(DURING, "ok", &right());
    let judged = join(vec![pod(Phase::Success), pod(Phase::Other)], vec![success]);
    assert_eq!(judged.len(), 1);
    let problems = problems(&judged);
    assert_eq!(problems.len(), 9, "{problems:#?}");
    assert!(problems.contains(&"containerd: fragwatch reported no failure".to_owned()));
    assert!(!problems.contains(&"containerd: fragwatch reported no success".to_owned()));
}

#[test]
fn cell_counts_differing_verdicts() {
    let (right, unknown) = (Verdict::Right, Verdict::Unknown);
    assert_eq!(cell([right, right].into_iter()), "right");
    assert_eq!(cell([unknown, right, right].into_iter()), "right 2, unknown 1");
    let judged = [one(pod(Phase::Success), vec![creation(DURING, "ok", &right_but_id())])];
    let table = table(&judged).to_string();
    let row = table.lines().find(|line| line.contains("containerd") && line.contains("success"));
    assert!(row.is_some_and(|row| row.contains("1 of 1") && row.contains("WRONG")), "{table}");
}

fn right_but_id() -> Value {
    let mut container = right();
    container["id"] = "another".into();
    container
}
