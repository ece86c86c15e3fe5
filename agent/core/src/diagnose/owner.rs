//! Whose a cgroup is, by its path: that decides who can raise its limit.

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// All pods of the node together, or all of a class of them.
    AllPods,
    /// A pod, or a container of one.
    Pod,
    /// A container of Docker's.
    Docker,
    /// A container of Podman's.
    Podman,
    /// A container of LXC, LXD or Incus.
    Lxc,
    /// A task of Amazon ECS.
    Ecs,
    /// A task of Nomad.
    Nomad,
    /// A user's session and services.
    User,
    /// A unit of systemd's.
    Unit,
    /// None of these, or not known.
    Other,
}

impl Owner {
    /// The owner of the cgroup with this path.
    pub(super) fn of(path: Option<&str>) -> Self {
        let path = path.unwrap_or_default();
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let class = ["burstable", "besteffort", "guaranteed"].iter().any(|class| {
            last == *class && path.contains("kubepods") || last == format!("kubepods-{class}.slice")
        });
        let all_pods = ["kubepods", "kubepods.slice", "kubelet-kubepods.slice"].contains(&last);
        // Names of systemd's units are in lower case; a pod's own slice holds its uid.
        let kind = last.rsplit_once('.').map(|(_, kind)| kind);
        if all_pods || class {
            Self::AllPods
        } else if path.contains("kubepods") {
            Self::Pod
        } else if path.contains("/ecs/") || path.contains("/ecstasks") {
            Self::Ecs
        } else if path.contains("/nomad/") || path.contains("nomad.slice") {
            Self::Nomad
        } else if path.contains("/docker/") || last.starts_with("docker-") {
            Self::Docker
        } else if path.contains("libpod") {
            Self::Podman
        } else if ["/lxc/", "/lxc.payload", "/lxc.monitor"].iter().any(|part| path.contains(part)) {
            Self::Lxc
        } else if path.starts_with("/user.slice") {
            Self::User
        } else if matches!(kind, Some("service" | "slice" | "scope")) {
            Self::Unit
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_by_path() {
        let uid = "83124f74-191e-4b7e-97f8-9a37103e5802";
        for (path, owner) in [
            ("/kubepods", Owner::AllPods),
            ("/kubepods/burstable", Owner::AllPods),
            ("/kubepods.slice/kubepods-besteffort.slice", Owner::AllPods),
            ("/kubelet.slice/kubelet-kubepods.slice", Owner::AllPods),
            (&format!("/kubepods/burstable/pod{uid}"), Owner::Pod),
            ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-7.scope", Owner::Pod),
            ("/docker/64be", Owner::Docker),
            ("/system.slice/docker-64be.scope", Owner::Docker),
            ("/machine.slice/libpod-64be.scope", Owner::Podman),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-6.scope",
                Owner::Podman,
            ),
            ("/lxc.payload.web/init.scope", Owner::Lxc),
            ("/ecs/0af3/64be", Owner::Ecs),
            ("/nomad/share/1.web.scope", Owner::Nomad),
            ("/user.slice/user-1000.slice", Owner::User),
            ("/system.slice/docker.service", Owner::Unit),
            ("/machine.slice/machine-web.scope", Owner::Unit),
            ("/a", Owner::Other),
            ("", Owner::Other),
        ] {
            assert_eq!(Owner::of(Some(path)), owner, "{path}");
        }
    }
}
