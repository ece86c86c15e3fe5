//! Which container it is about.
use super::{Block, DIM, paint};
use crate::{
    model::container::is_id,
    report::line::container::{Candidate, Container, LateContainer},
    units::printable,
};

/// Digits of a container's id that are shown in a headline.
const SHORT_ID: usize = 12;

/// What a container is called in a headline: its pod with the runtime and the beginning of its id,
/// as far as they are known.
pub(super) fn label(container: &Container) -> String {
    let runtime = container.runtime.as_deref().unwrap_or("container");
    let short = |id: &str| if is_id(id) { id[..SHORT_ID].to_owned() } else { id.to_owned() };
    let own = match (&container.name, &container.id) {
        (Some(name), _) => Some(format!("{runtime} {name}")),
        (None, Some(id)) => Some(format!("{runtime} {}", short(id))),
        (None, None) => None,
    };
    let pod = match (&container.namespace, &container.pod, &container.pod_uid) {
        (Some(namespace), Some(pod), _) => Some(format!("{namespace}/{pod}")),
        (None, Some(pod), _) => Some(format!("pod {pod}")),
        (_, None, Some(uid)) if own.is_none() => Some(format!("pod {uid}")),
        _ => None,
    };
    printable(&match (pod, own) {
        (Some(pod), Some(own)) => format!("{pod} ({own})"),
        (Some(pod), None) => pod,
        (None, Some(own)) => own,
        (None, None) => runtime.to_owned(),
    })
}

/// The container, or the likeliest of those that it may be; `None` if nothing is known.
pub(super) fn who(container: Option<&Container>, candidates: &[Candidate]) -> Option<String> {
    match (container, candidates.first()) {
        (Some(container), _) => Some(label(container)),
        (None, Some(first)) => Some(format!("perhaps {}", label(&first.container))),
        (None, None) => None,
    }
}

/// All that is known of it.
pub(super) fn rows(block: &mut Block, container: Option<&Container>, candidates: &[Candidate]) {
    if let Some(container) = container {
        block.row("container", &describe(container));
    }
    for candidate in candidates {
        let why = printable(&candidate.why);
        block.row("perhaps", &format!("{} (a guess: {why})", describe(&candidate.container)));
    }
}

/// What became known later.
pub(super) fn late_block(late: &LateContainer, time: &str) -> Block {
    let who = who(late.container.as_ref(), &late.candidates);
    let mut block = Block::new(format!(
        "{time} {} {}: creation {}, by {} (pid {})",
        paint(DIM, "named   "),
        who.unwrap_or_else(|| "no container known".to_owned()),
        late.creation,
        printable(&late.comm),
        late.pid,
    ));
    rows(&mut block, late.container.as_ref(), &late.candidates);
    block
}

fn describe(container: &Container) -> String {
    let mut parts = Vec::new();
    if let Some(pod) = &container.pod {
        let namespace = container.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
        parts.push(format!("pod {namespace}{pod}"));
    }
    parts.extend(container.name.as_ref().map(|name| format!("name {name}")));
    parts.extend(container.runtime.clone());
    parts.extend(container.id.clone());
    parts.extend(container.pod_uid.as_ref().map(|uid| format!("pod uid {uid}")));
    parts.extend(container.named_by.map(|by| format!("named by {}", by.words())));
    printable(&parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_has_what_says_most() {
        let mut container = Container {
            runtime: None,
            id: Some("64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455".to_owned()),
            pod_uid: Some("6f1c2d3e".to_owned()),
            pod: None,
            namespace: None,
            name: None,
            named_by: None,
        };
        assert_eq!(label(&container), "container 64bec1f2a0c5");
        container.runtime = Some("podman".to_owned());
        assert_eq!(label(&container), "podman 64bec1f2a0c5");
        container.name = Some("web".to_owned());
        assert_eq!(label(&container), "podman web");
        container.pod = Some("web-0".to_owned());
        assert_eq!(label(&container), "pod web-0 (podman web)");
        container.namespace = Some("shop".to_owned());
        assert_eq!(label(&container), "shop/web-0 (podman web)");
        (container.name, container.id) = (None, None);
        assert_eq!(label(&container), "shop/web-0");
        (container.pod, container.namespace) = (None, None);
        assert_eq!(label(&container), "pod 6f1c2d3e");
        container.pod_uid = None;
        assert_eq!(label(&container), "podman");
        // LXC's are names.
        container.id = Some("a-name-longer-than-that".to_owned());
        assert_eq!(label(&container), "podman a-name-longer-than-that");
    }
}
