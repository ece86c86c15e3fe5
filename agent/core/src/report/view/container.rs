//! Containers.
use crate::{
    model::container,
    report::line::container::{Candidate, Container},
};

/// A container.
pub(super) fn container(container: &container::Container) -> Container {
    Container {
        runtime: container.runtime.clone(),
        id: container.id.clone(),
        pod_uid: container.pod_uid.clone(),
        pod: container.pod.clone(),
        namespace: container.namespace.clone(),
        name: container.name.clone(),
        named_by: container.named_by,
    }
}

/// Those that it may be.
pub(super) fn candidates(candidates: &[container::Candidate]) -> Vec<Candidate> {
    let view = |candidate: &container::Candidate| Candidate {
        container: container(&candidate.container),
        why: candidate.why.describe().to_owned(),
    };
    candidates.iter().map(view).collect()
}
