//! Who a creation was for, as far as the cgroup's path tells.
pub mod known;
mod paths;

pub use paths::Paths;

use crate::evidence::CgroupPath;

/// A container, by what its cgroup's path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The runtime, where the path names it.
    pub runtime: Option<&'static str>,
    /// The container's id: 64 hex digits.
    pub id: String,
    /// The pod's uid, with dashes.
    pub pod_uid: Option<String>,
}

/// Prefixes of a container's systemd scope, and the runtime that writes them.
const SCOPES: &[(&str, &str)] = &[
    ("cri-containerd-", "containerd"),
    ("crio-", "cri-o"),
    ("docker-", "docker"),
    ("libpod-", "podman"),
];

/// Directories in which a runtime's cgroupfs driver puts containers by their bare id.
const PARENTS: &[(&str, &str)] =
    &[("docker", "docker"), ("libpod_parent", "podman"), ("crio", "cri-o")];

impl Container {
    /// Finds the innermost container in a path. Monitors beside a container (`crio-conmon-…`) are
    /// none.
    pub fn from_path(path: &CgroupPath) -> Option<Self> {
        let at = path.names.iter().rposition(|name| container_id(name).is_some())?;
        let (name, above) = (&path.names[at], &path.names[..at]);
        let (runtime, id) = container_id(name)?;
        let parent = above.last().map(String::as_str).unwrap_or_default();
        let runtime =
            runtime.or_else(|| PARENTS.iter().find(|(dir, _)| *dir == parent).map(|&(_, r)| r));
        let pod_uid = above.iter().rev().find_map(|name| pod_uid(name));
        Some(Self { runtime, id: id.to_owned(), pod_uid })
    }
}

/// The id in a directory's name, with the runtime if the name tells it.
fn container_id(name: &str) -> Option<(Option<&'static str>, &str)> {
    if is_id(name) {
        return Some((None, name));
    }
    let scope = name.strip_suffix(".scope")?;
    SCOPES.iter().find_map(|&(prefix, runtime)| {
        let id = scope.strip_prefix(prefix)?;
        is_id(id).then_some((Some(runtime), id))
    })
}

/// Whether it is a container's id: 64 hex digits.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The uid in `pod<uid>` (cgroupfs driver) or `…-pod<uid>.slice` (systemd driver, with
/// underscores for dashes).
pub(crate) fn pod_uid(name: &str) -> Option<String> {
    let uid = match name.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        None => name.strip_prefix("pod")?.to_owned(),
    };
    // A uid of the API server, or the 32 hex digits of a static pod's.
    let plain = uid.bytes().filter(|b| *b != b'-').count() == 32;
    (plain && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
    const UID: &str = "6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";

    fn find(path: &str) -> Option<Container> {
        let path = path.replace("ID", ID);
        let names = path.split('/').skip(1).map(str::to_owned).collect();
        Container::from_path(&CgroupPath { names, truncated: false })
    }

    #[track_caller]
    fn check(path: &str, runtime: Option<&str>, pod_uid: Option<&str>) {
        let found = find(path).unwrap_or_else(|| panic!("no container in {path}"));
        assert_eq!(found.id, ID, "{path}");
        assert_eq!(found.runtime, runtime, "{path}");
        assert_eq!(found.pod_uid.as_deref(), pod_uid, "{path}");
    }

    #[test]
    fn finds_containers() {
        check(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6f1c2d3e_4a5b_4c6d_8e9f_0a1b2c3d4e5f.slice/cri-containerd-ID.scope",
            Some("containerd"),
            Some(UID),
        );
        check(
            "/kubepods.slice/kubepods-pod6f1c2d3e_4a5b_4c6d_8e9f_0a1b2c3d4e5f.slice/crio-ID.scope",
            Some("cri-o"),
            Some(UID),
        );
        check(&format!("/kubepods/besteffort/pod{UID}/ID"), None, Some(UID));
        check("/docker/ID", Some("docker"), None);
        check("/system.slice/docker-ID.scope", Some("docker"), None);
        check("/machine.slice/libpod-ID.scope", Some("podman"), None);
        // kind: a node that is a container itself
        check(&format!("/docker/{}/kubelet/kubepods/pod{UID}/ID", "0".repeat(64)), None, Some(UID));
        // what runs in a container's own child cgroup
        check("/machine.slice/libpod-ID.scope/container", Some("podman"), None);
    }

    #[test]
    fn what_is_no_container_is_none() {
        for path in [
            "/",
            "/system.slice/containerd.service",
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods.slice/crio-conmon-ID.scope",
            "/user.slice/64bec1",
            "/kubepods/burstable/pod6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
    }
}
