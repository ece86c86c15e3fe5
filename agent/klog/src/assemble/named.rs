//! Which container a path or a list names.

/// Whether a path or a list names a container. An id is found wherever it stands; a name that a user
/// chose (`1`, `web`) must be a part of its own: `/lxc/web`, `lxc.payload.web`.
pub(crate) fn is_named_in(container: &str, text: &str) -> bool {
    const SHORTEST_ID: usize = 32;
    if container.len() >= SHORTEST_ID {
        return text.contains(container);
    }
    text.split('/')
        .any(|part| part == container || part.strip_prefix("lxc.payload.") == Some(container))
}
