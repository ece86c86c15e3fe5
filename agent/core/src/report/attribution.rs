//! What reports tell of whom a creation was for.
use serde_json::{Value, json};

use crate::{
    model::{
        container::{Candidate, Container},
        identity::NamedBy,
        step::CreationStep,
    },
    report::text::labelled,
    units::printable,
};

/// A container, for programs.
pub(super) fn container(container: &Container) -> Value {
    json!({
        "runtime": container.runtime,
        "id": container.id,
        "pod_uid": container.pod_uid,
        "pod": container.pod,
        "namespace": container.namespace,
        "name": container.name,
        "named_by": container.named_by.map(NamedBy::name),
    })
}

/// Those that it may be, for programs.
pub(super) fn candidates(candidates: &[Candidate]) -> Vec<Value> {
    candidates
        .iter()
        .map(|candidate| {
            let mut value = container(&candidate.container);
            value["why"] = candidate.why.describe().into();
            value
        })
        .collect()
}

/// Whom a creation is for, in a few words before the rest of its headline; nothing if nothing is
/// known.
pub(super) fn headline(creation: &CreationStep) -> String {
    let last = creation.cgroup.as_ref().and_then(|path| path.names.last());
    match (&creation.container, creation.candidates.first(), last) {
        (Some(container), ..) => format!("{}: ", printable(&container.label())),
        (None, Some(first), _) => format!("perhaps {}: ", printable(&first.container.label())),
        (None, None, Some(last)) => format!("{}: ", printable(last)),
        (None, None, None) => String::new(),
    }
}

/// Whom it was for, in a few words.
pub(super) fn whose(container: Option<&Container>, candidates: &[Candidate]) -> String {
    match (container, candidates.first()) {
        (Some(container), _) => format!("for {}", printable(&container.label())),
        (None, Some(first)) => format!("perhaps for {}", printable(&first.container.label())),
        (None, None) => "for nobody known".to_owned(),
    }
}

/// All that is known of it, as lines of text.
pub(super) fn lines(container: Option<&Container>, candidates: &[Candidate]) -> Vec<String> {
    let known = container.map(|found| labelled("container", &describe(found)));
    let guessed = candidates.iter().map(|candidate| {
        let text =
            format!("{} (a guess: {})", describe(&candidate.container), candidate.why.describe());
        labelled("perhaps", &text)
    });
    known.into_iter().chain(guessed).collect()
}

fn describe(container: &Container) -> String {
    let mut parts = Vec::new();
    if let (Some(pod), namespace) = (&container.pod, &container.namespace) {
        let namespace = namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
        parts.push(format!("pod {namespace}{pod}"));
    }
    parts.extend(container.name.as_ref().map(|name| format!("name {name}")));
    parts.extend(container.runtime.clone());
    parts.extend(container.id.clone());
    parts.extend(container.pod_uid.as_ref().map(|uid| format!("pod uid {uid}")));
    parts.extend(container.named_by.map(|by| format!("named by {}", by.words())));
    printable(&parts.join(", "))
}
