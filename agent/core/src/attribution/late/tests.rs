//! Creations that are reported with the names known by then, and completed by later replies.
use super::*;
use crate::model::step::{Namespaces, StepKind};
use crate::{attribution::cgroup_path, fixtures::failed_creation, model::event::CgroupPath};

const UID: &str = "6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";

fn known(by: NamedBy, pod: &str) -> Identity {
    Identity {
        by,
        runtime: None,
        id: None,
        pod_uid: None,
        pod: Some(pod.to_owned()),
        namespace: Some("default".to_owned()),
        name: None,
    }
}

fn reply(query: &Query, known: &[Identity], last: bool) -> Reply {
    Reply { query: query.clone(), identities: known.to_vec(), last }
}

/// A creation made by a process in the container.
fn inside() -> CreationStep {
    let mut creation = failed_creation();
    creation.container = candidates::certain(&creation);
    creation
}

/// A creation made by containerd, with a pod as its candidate.
fn outside(netns: Option<u32>) -> CreationStep {
    let mut creation = failed_creation();
    creation.task.comm = "containerd".to_owned();
    creation.kind = StepKind::Namespaces(Namespaces { netns, ..Namespaces::default() });
    creation.container = None;
    let container = cgroup_path::find(&CgroupPath::parse(&format!("/kubepods/pod{UID}")));
    let container = container.expect("a pod's path");
    creation.candidates = vec![Candidate { container, why: CandidateReason::NewestPod }];
    creation
}

fn first_query(names: &mut Attributions, creation: &CreationStep) -> Query {
    let mut queries = names.queries(creation, 0);
    assert!(!queries.is_empty(), "there is no query");
    queries.remove(0)
}

#[test]
fn a_reply_before_the_report_names_the_container() {
    let (mut names, mut creation) = (Attributions::default(), inside());
    let query = first_query(&mut names, &creation);
    let changed = names.reply(reply(&query, &[known(NamedBy::PodLogs, "web-0")], true));
    assert_eq!(changed, [], "the creation is not reported yet");
    names.name(&mut creation, 0);
    assert_eq!(creation.container.and_then(|c| c.pod).as_deref(), Some("web-0"));
    assert!(names.waiting.is_empty());
    assert_eq!(names.queries(&inside(), 0), [], "a known container is not queried again");
}

#[test]
fn a_later_reply_completes_the_attribution_once() {
    let (mut names, mut creation) = (Attributions::default(), inside());
    let query = first_query(&mut names, &creation);
    names.name(&mut creation, 0);
    assert_eq!(creation.container.as_ref().and_then(|c| c.pod.clone()), None);
    assert_eq!(names.reply(reply(&query, &[], false)), [], "nothing new");
    let changed = names.reply(reply(&query, &[known(NamedBy::Cri, "web-0")], true));
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].creation, creation.id);
    let container = changed[0].container.as_ref().expect("the creation has a container");
    assert_eq!((container.pod.as_deref(), container.named_by), (Some("web-0"), Some(NamedBy::Cri)));
    assert!(names.waiting.is_empty());
    assert_eq!(names.reply(reply(&query, &[known(NamedBy::Cri, "web-1")], true)), []);
}

#[test]
fn an_empty_reply_removes_no_names() {
    let (mut names, creation) = (Attributions::default(), inside());
    let query = first_query(&mut names, &creation);
    names.reply(reply(&query, &[known(NamedBy::Cri, "web-0")], false));
    names.reply(reply(&query, &[], true));
    let state = Identity {
        runtime: Some("runc".to_owned()),
        pod: None,
        namespace: None,
        ..known(NamedBy::RuntimeState, "")
    };
    names.reply(reply(&query, &[state], true));
    let mut creation = inside();
    names.name(&mut creation, 0);
    let container = creation.container.expect("the creation has a container");
    assert_eq!(
        (container.pod.as_deref(), container.runtime.as_deref()),
        (Some("web-0"), Some("runc"))
    );
}

#[test]
fn a_reused_inode_does_not_name_the_first_namespaces_owner() {
    let mut names = Attributions::default();
    let (mut first, mut second) = (outside(Some(7)), outside(Some(7)));
    (first.id, second.id) = (1, 2);
    (second.began_ns, second.ended_ns) = (second.ended_ns, second.ended_ns + 1_000_000_000);
    let query = first_query(&mut names, &first);
    names.name(&mut first, 0);
    names.name(&mut second, 0);
    let record = Identity { id: Some("ab".repeat(32)), ..known(NamedBy::RuntimeState, "web-0") };
    assert_eq!(names.reply(reply(&query, &[record], true)), []);
    assert_eq!(names.waiting.len(), 1, "the second still waits");
}

#[test]
fn a_reply_about_another_pod_is_ignored() {
    let (mut names, mut creation) = (Attributions::default(), inside());
    let query = first_query(&mut names, &creation);
    let wrong = Identity { pod_uid: Some(UID.replace('6', "0")), ..known(NamedBy::Cri, "other") };
    names.reply(reply(&query, &[wrong], true));
    let before = creation.container.clone();
    names.name(&mut creation, 0);
    assert_eq!(creation.container, before);
}

#[test]
fn a_runtimes_record_of_the_namespace_is_certain() {
    let (mut names, mut creation) = (Attributions::default(), outside(Some(7)));
    let query = first_query(&mut names, &creation);
    assert!(matches!(query, Query::Netns { inode: 7, .. }), "{query:?}");
    names.name(&mut creation, 0);
    assert_eq!((creation.container.is_none(), creation.candidates.len()), (true, 1));
    let record = Identity { id: Some("ab".repeat(32)), ..known(NamedBy::RuntimeState, "web-0") };
    let changed = names.reply(reply(&query, &[record], true));
    assert_eq!(changed.len(), 1);
    let container = changed[0].container.as_ref().expect("the record has it");
    assert_eq!(container.pod.as_deref(), Some("web-0"));
    assert_eq!(changed[0].candidates, [], "a certain container needs no candidates");
}

#[test]
fn records_without_a_namespace_give_candidates() {
    let (mut names, mut creation) = (Attributions::default(), outside(None));
    let query = first_query(&mut names, &creation);
    assert!(matches!(query, Query::Starting { .. }), "{query:?}");
    let first = Identity { pod_uid: Some(UID.to_owned()), ..known(NamedBy::RuntimeLog, "web-0") };
    let second = known(NamedBy::RuntimeLog, "web-1");
    names.reply(reply(&query, &[first, second], false));
    names.name(&mut creation, 0);
    assert_eq!(creation.container, None);
    let pods: Vec<Option<&str>> =
        creation.candidates.iter().map(|c| c.container.pod.as_deref()).collect();
    assert_eq!(pods, [Some("web-0"), Some("web-1")]);
    assert_eq!(
        (creation.candidates[0].why, creation.candidates[1].why),
        (CandidateReason::PodInRuntimeLog, CandidateReason::RuntimeLog)
    );
    // The same again changes nothing.
    let waiting = names.waiting[0].attribution.clone();
    let first = Identity { pod_uid: Some(UID.to_owned()), ..known(NamedBy::RuntimeLog, "web-0") };
    let second = known(NamedBy::RuntimeLog, "web-1");
    assert_eq!(names.reply(reply(&query, &[first, second], true)), []);
    assert_eq!(waiting.candidates, creation.candidates);
}

#[test]
fn waiting_creations_and_replies_are_bounded() {
    let mut names = Attributions::default();
    for id in 0..2000 {
        let mut creation = inside();
        creation.id = id;
        creation.container =
            Some(Container { id: Some(format!("{id:064x}")), ..Container::default() });
        names.name(&mut creation, 0);
        let query = Query::Pod { uid: id.to_string() };
        names.reply(reply(&query, &[], true));
    }
    assert_eq!(names.waiting.len(), MAX_WAITING);
    assert_eq!(names.replies.len(), MAX_REPLIES.get());
    assert_eq!(names.waiting[0].attribution.creation, 2000 - MAX_WAITING as u64);
}
