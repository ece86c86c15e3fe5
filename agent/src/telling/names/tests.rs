//! Creations that are told with what is known, and completed when more is.
use super::*;
use crate::{creation::tests::failed_creation, evidence::CgroupPath};

const UID: &str = "6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";

fn known(by: NamedBy, pod: &str) -> Known {
    Known {
        by,
        runtime: None,
        id: None,
        pod_uid: None,
        pod: Some(pod.to_owned()),
        namespace: Some("default".to_owned()),
        name: None,
    }
}

fn answer(question: &Question, known: &[Known], last: bool) -> Answer {
    Answer { question: question.clone(), known: known.to_vec(), last }
}

/// One of a container's own process.
fn inside() -> Creation {
    let mut creation = failed_creation();
    creation.container = owner::certain(&creation);
    creation
}

/// One that containerd made, with this pod as its candidate.
fn outside(netns: Option<u32>) -> Creation {
    let mut creation = failed_creation();
    creation.task.comm = "containerd".to_owned();
    creation.netns = netns;
    creation.container = None;
    let container = Container::from_path(&CgroupPath::parse(&format!("/kubepods/pod{UID}")));
    let container = container.expect("a pod's path");
    creation.candidates = vec![Candidate { container, why: "the newest pod without a container" }];
    creation
}

fn asked(names: &Names, creation: &Creation) -> Question {
    let mut asked = names.questions(creation, 0);
    assert!(!asked.is_empty(), "nothing is asked");
    asked.remove(0)
}

#[test]
fn what_is_known_in_time_is_told_at_once() {
    let (mut names, mut creation) = (Names::default(), inside());
    let question = asked(&names, &creation);
    let told = names.answer(answer(&question, &[known(NamedBy::PodLogs, "web-0")], true));
    assert_eq!(told, [], "it is not told yet");
    names.name(&mut creation, 0);
    assert_eq!(creation.container.map(|c| c.label()).as_deref(), Some("default/web-0"));
    assert!(names.waiting.is_empty());
    assert_eq!(names.questions(&inside(), 0), [], "what is known is not asked again");
}

#[test]
fn what_comes_later_completes_it_once() {
    let (mut names, mut creation) = (Names::default(), inside());
    let question = asked(&names, &creation);
    names.name(&mut creation, 0);
    assert_eq!(creation.container.as_ref().and_then(|c| c.pod.clone()), None);
    assert_eq!(names.answer(answer(&question, &[], false)), [], "nothing new");
    let told = names.answer(answer(&question, &[known(NamedBy::Cri, "web-0")], true));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].creation, creation.id);
    let container = told[0].container.as_ref().expect("it had one");
    assert_eq!((container.pod.as_deref(), container.named_by), (Some("web-0"), Some(NamedBy::Cri)));
    assert!(names.waiting.is_empty());
    assert_eq!(names.answer(answer(&question, &[known(NamedBy::Cri, "web-1")], true)), []);
}

#[test]
fn what_one_told_is_not_taken_back_by_another() {
    let (mut names, creation) = (Names::default(), inside());
    let question = asked(&names, &creation);
    names.answer(answer(&question, &[known(NamedBy::Cri, "web-0")], false));
    names.answer(answer(&question, &[], true));
    let state = Known {
        runtime: Some("runc".to_owned()),
        pod: None,
        namespace: None,
        ..known(NamedBy::RuntimeState, "")
    };
    names.answer(answer(&question, &[state], true));
    let mut creation = inside();
    names.name(&mut creation, 0);
    let container = creation.container.expect("it had one");
    assert_eq!(
        (container.pod.as_deref(), container.runtime.as_deref()),
        (Some("web-0"), Some("runc"))
    );
}

#[test]
fn a_namespace_number_that_another_got_tells_nothing_of_the_first() {
    let mut names = Names::default();
    let (mut first, mut second) = (outside(Some(7)), outside(Some(7)));
    (first.id, second.id) = (1, 2);
    (second.began_ns, second.ended_ns) = (second.ended_ns, second.ended_ns + 1_000_000_000);
    let question = asked(&names, &first);
    names.name(&mut first, 0);
    names.name(&mut second, 0);
    let record = Known { id: Some("ab".repeat(32)), ..known(NamedBy::RuntimeState, "web-0") };
    assert_eq!(names.answer(answer(&question, &[record], true)), []);
    assert_eq!(names.waiting.len(), 1, "the second still waits");
}

#[test]
fn an_answer_about_somebody_else_names_nobody() {
    let (mut names, mut creation) = (Names::default(), inside());
    let question = asked(&names, &creation);
    let lie = Known { pod_uid: Some(UID.replace('6', "0")), ..known(NamedBy::Cri, "liar") };
    names.answer(answer(&question, &[lie], true));
    let before = creation.container.clone();
    names.name(&mut creation, 0);
    assert_eq!(creation.container, before);
}

#[test]
fn the_runtime_s_record_of_a_namespace_makes_it_certain() {
    let (mut names, mut creation) = (Names::default(), outside(Some(7)));
    let question = asked(&names, &creation);
    assert!(matches!(question, Question::Netns { inode: 7, .. }), "{question:?}");
    names.name(&mut creation, 0);
    assert_eq!((creation.container.is_none(), creation.candidates.len()), (true, 1));
    let record = Known { id: Some("ab".repeat(32)), ..known(NamedBy::RuntimeState, "web-0") };
    let told = names.answer(answer(&question, &[record], true));
    assert_eq!(told.len(), 1);
    let container = told[0].container.as_ref().expect("the record tells it");
    assert_eq!(container.label(), "default/web-0");
    assert_eq!(told[0].candidates, [], "nobody has to guess any more");
}

#[test]
fn without_a_namespace_records_make_candidates_and_nothing_certain() {
    let (mut names, mut creation) = (Names::default(), outside(None));
    let question = asked(&names, &creation);
    assert!(matches!(question, Question::Starting { .. }), "{question:?}");
    let first = Known { pod_uid: Some(UID.to_owned()), ..known(NamedBy::RuntimeLog, "web-0") };
    let second = known(NamedBy::RuntimeLog, "web-1");
    names.answer(answer(&question, &[first, second], false));
    names.name(&mut creation, 0);
    assert_eq!(creation.container, None);
    let labels: Vec<String> = creation.candidates.iter().map(|c| c.container.label()).collect();
    assert_eq!(labels, ["default/web-0", "default/web-1"]);
    assert_eq!((creation.candidates[0].why, creation.candidates[1].why), (BY_BOTH, BY_LOG));
    // The same again changes nothing.
    let waiting = names.waiting[0].owner.clone();
    let first = Known { pod_uid: Some(UID.to_owned()), ..known(NamedBy::RuntimeLog, "web-0") };
    let second = known(NamedBy::RuntimeLog, "web-1");
    assert_eq!(names.answer(answer(&question, &[first, second], true)), []);
    assert_eq!(waiting.candidates, creation.candidates);
}

#[test]
fn who_waits_and_what_is_kept_is_bounded() {
    let mut names = Names::default();
    for id in 0..2000 {
        let mut creation = inside();
        creation.id = id;
        creation.container =
            Some(Container { id: Some(format!("{id:064x}")), ..Container::default() });
        names.name(&mut creation, 0);
        let question = Question::Pod { uid: id.to_string() };
        names.answer(answer(&question, &[], true));
    }
    assert_eq!(names.waiting.len(), MAX_WAITING);
    assert_eq!((names.answers.len(), names.order.len()), (MAX_ANSWERS, MAX_ANSWERS));
    assert_eq!(names.waiting[0].owner.creation, 2000 - MAX_WAITING as u64);
}
