//! The container or pod of a cgroup, from its path: the naming patterns of runtimes and the kubelet.
use crate::model::{
    container::{Container, is_id},
    event::CgroupPath,
};

/// The form of a container's id in a directory's name.
#[derive(Clone, Copy)]
enum Id {
    /// 64 hex digits.
    Hex,
    /// `buildah-buildah` and digits.
    Buildah,
    /// Any name, escaped like a systemd unit's name.
    Unit,
    /// Any name.
    Plain,
}

/// How a runtime names a container's directory.
struct Pattern {
    /// The prefix of the directory's name.
    prefix: &'static str,
    id: Id,
    /// The suffix of the directory's name.
    suffix: &'static str,
    /// The name of the parent directory, if the runtime is recognised only by that.
    parent: Option<&'static str>,
    /// `None` if several runtimes use the pattern.
    runtime: Option<&'static str>,
}

const fn pattern(
    prefix: &'static str,
    id: Id,
    suffix: &'static str,
    runtime: Option<&'static str>,
) -> Pattern {
    Pattern { prefix, id, suffix, parent: None, runtime }
}

const fn within(parent: &'static str, id: Id, runtime: &'static str) -> Pattern {
    Pattern { prefix: "", id, suffix: "", parent: Some(parent), runtime: Some(runtime) }
}

/// The first match is used. Monitor processes (`crio-conmon-…`, `libpod-conmon-…`, `lxc.monitor.…`)
/// match none.
const PATTERNS: &[Pattern] = &[
    // systemd driver: a scope for each container
    pattern("cri-containerd-", Id::Hex, ".scope", Some("containerd")),
    pattern("nerdctl-", Id::Hex, ".scope", Some("containerd")),
    pattern("crio-", Id::Hex, ".scope", Some("cri-o")),
    pattern("docker-", Id::Hex, ".scope", Some("docker")),
    pattern("libpod-", Id::Hex, ".scope", Some("podman")),
    pattern("crun-", Id::Buildah, ".scope", Some("buildah")),
    pattern("runc-", Id::Buildah, ".scope", Some("buildah")),
    // cgroupfs driver
    pattern("libpod-", Id::Hex, "", Some("podman")),
    pattern("crio-", Id::Hex, "", Some("cri-o")),
    pattern("", Id::Buildah, "", Some("buildah")),
    within("docker", Id::Hex, "docker"),
    within("libpod_parent", Id::Hex, "podman"),
    within("crio", Id::Hex, "cri-o"),
    // containerd with the cgroupfs driver under a kubelet with systemd's: the directory is named
    // `slice:prefix:id`
    pattern(":cri-containerd:", Id::Hex, "", Some("containerd")),
    pattern(":crio:", Id::Hex, "", Some("cri-o")),
    pattern(":docker:", Id::Hex, "", Some("docker")),
    pattern("lxc.payload.", Id::Plain, "", Some("lxc")),
    within("lxc.payload", Id::Plain, "lxc"),
    within("lxc", Id::Plain, "lxc"),
    pattern("systemd-nspawn@", Id::Unit, ".service", Some("systemd-nspawn")),
    pattern("", Id::Hex, "", None),
];

/// The innermost container, or pod, that a path is in.
pub fn find(path: &CgroupPath) -> Option<Container> {
    let innermost = (0..path.names.len()).rev().find_map(|at| {
        let parent = at.checked_sub(1).map(|above| path.names[above].as_str());
        PATTERNS.iter().find_map(|pattern| {
            Some((at, pattern.runtime, pattern.id_in(&path.names[at], parent)?))
        })
    });
    let mut found = Container::default();
    let mut above = path.names.as_slice();
    if let Some((at, runtime, id)) = innermost {
        found.runtime = runtime.map(str::to_owned);
        found.id = Some(id);
        // The pod's uid may be in the same name.
        above = &path.names[..=at];
    }
    // Below their own slice users can create paths that look like a pod's.
    found.is_users = path.names.first().is_some_and(|name| name == "user.slice");
    if !found.is_users {
        let within = above.iter().position(|name| name.contains("kubepods"));
        let pods = within.map_or(&[][..], |at| &above[at..]);
        found.pod_uid = pods.iter().rev().find_map(|name| pod_uid(name));
    }
    (found.id.is_some() || found.pod_uid.is_some()).then_some(found)
}

impl Pattern {
    /// The container's id, if a directory `name` in `parent` matches.
    fn id_in(&self, name: &str, parent: Option<&str>) -> Option<String> {
        if self.parent.is_some() && self.parent != parent {
            return None;
        }
        let name =
            if self.prefix.starts_with(':') { &name[name.find(self.prefix)?..] } else { name };
        let id = name.strip_prefix(self.prefix)?.strip_suffix(self.suffix)?;
        match self.id {
            Id::Hex => is_id(id).then(|| id.to_owned()),
            Id::Buildah => {
                let digits = id.strip_prefix("buildah-buildah")?;
                let all = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                all.then(|| id.to_owned())
            }
            Id::Unit => (!id.is_empty()).then(|| unescape(id)),
            Id::Plain => (!id.is_empty()).then(|| id.to_owned()),
        }
    }
}

/// `\x2d` in a unit's name is the byte 0x2d (systemd.unit(5)).
fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = rest.strip_prefix(b"\\x").and_then(|hex| hex.get(..2));
        let byte = digits
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &rest[4..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The uid in `pod<uid>` (cgroupfs driver) or `…-pod<uid>.slice` (systemd driver, with
/// underscores for dashes).
fn pod_uid(name: &str) -> Option<String> {
    // The uid is in the slice of `slice:prefix:id`.
    let name = name.split_once(':').map_or(name, |(slice, _)| slice);
    let uid = match name.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        None => name.strip_prefix("pod")?.to_owned(),
    };
    // A uid of the API server, or a static pod's 32 hex digits.
    let plain = uid.bytes().filter(|b| *b != b'-').count() == 32;
    (plain && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";
    const UID: &str = "6f1c2d3e-4a5b-4c6d-8e9f-0a1b2c3d4e5f";
    const STATIC: &str = "0d1f4a3bc6a5f7e2b8d90c1e2f3a4b5c";

    type Expected = Option<&'static str>;

    /// Paths as they are found on nodes; `ID`, `UID`, `U_ID` (with underscores) and `STATIC` stand for
    /// those above. Then the expected runtime, container id and pod uid.
    const PATHS: &[(&str, Expected, Expected, Expected)] = &[
        // kubelet, systemd driver: guaranteed, burstable, best effort
        (
            "/kubepods.slice/kubepods-podU_ID.slice/cri-containerd-ID.scope",
            Some("containerd"),
            Some(ID),
            Some(UID),
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_ID.slice/cri-containerd-ID.scope",
            Some("containerd"),
            Some(ID),
            Some(UID),
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_ID.slice/crio-ID.scope",
            Some("cri-o"),
            Some(ID),
            Some(UID),
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_ID.slice/docker-ID.scope",
            Some("docker"),
            Some(ID),
            Some(UID),
        ),
        // kubelet, cgroupfs driver
        ("/kubepods/podUID/ID", None, Some(ID), Some(UID)),
        ("/kubepods/burstable/podUID/ID", None, Some(ID), Some(UID)),
        ("/kubepods/besteffort/podUID/ID", None, Some(ID), Some(UID)),
        ("/kubepods/besteffort/podUID/crio-ID", Some("cri-o"), Some(ID), Some(UID)),
        // static pods: the digest of their file stands for a uid
        ("/kubepods/burstable/podSTATIC/ID", None, Some(ID), Some(STATIC)),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSTATIC.slice/cri-containerd-ID.scope",
            Some("containerd"),
            Some(ID),
            Some(STATIC),
        ),
        // a pod, without any container
        ("/kubepods/burstable/podUID", None, None, Some(UID)),
        ("/kubepods.slice/kubepods-podU_ID.slice", None, None, Some(UID)),
        // drivers that differ
        (
            "/system.slice/containerd.service/kubepods-burstable-podU_ID.slice:cri-containerd:ID",
            Some("containerd"),
            Some(ID),
            Some(UID),
        ),
        ("/kubepods-besteffort-podU_ID.slice:crio:ID", Some("cri-o"), Some(ID), Some(UID)),
        // kubelet below a cgroup root of its own, and a node that is a container itself
        ("/kubelet/kubepods/besteffort/podUID/ID", None, Some(ID), Some(UID)),
        (
            "/docker/0000000000000000000000000000000000000000000000000000000000000000/kubelet/kubepods/podUID/ID",
            None,
            Some(ID),
            Some(UID),
        ),
        (
            "/system.slice/docker-0000000000000000000000000000000000000000000000000000000000000000.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_ID.slice/cri-containerd-ID.scope",
            Some("containerd"),
            Some(ID),
            Some(UID),
        ),
        // Docker: both drivers, rootless, also on swarm nodes
        ("/docker/ID", Some("docker"), Some(ID), None),
        ("/system.slice/docker-ID.scope", Some("docker"), Some(ID), None),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
            Some("docker"),
            Some(ID),
            None,
        ),
        // containerd without Kubernetes
        ("/default/ID", None, Some(ID), None),
        ("/system.slice/nerdctl-ID.scope", Some("containerd"), Some(ID), None),
        // podman: both drivers, in a pod of podman's, rootless, and what runs in the container's own child
        ("/machine.slice/libpod-ID.scope", Some("podman"), Some(ID), None),
        ("/machine.slice/libpod-ID.scope/container", Some("podman"), Some(ID), None),
        (
            "/machine.slice/machine-libpod_pod_ID.slice/libpod-ID.scope",
            Some("podman"),
            Some(ID),
            None,
        ),
        ("/libpod_parent/libpod-ID", Some("podman"), Some(ID), None),
        ("/libpod_parent/ID/libpod-ID", Some("podman"), Some(ID), None),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            Some("podman"),
            Some(ID),
            None,
        ),
        // buildah and podman build
        (
            "/system.slice/crun-buildah-buildah2365838308.scope",
            Some("buildah"),
            Some("buildah-buildah2365838308"),
            None,
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/runc-buildah-buildah1059824916.scope",
            Some("buildah"),
            Some("buildah-buildah1059824916"),
            None,
        ),
        ("/buildah-buildah1059824916", Some("buildah"), Some("buildah-buildah1059824916"), None),
        // LXC and LXD, nspawn
        ("/lxc.payload.web", Some("lxc"), Some("web"), None),
        ("/lxc.payload.web/system.slice/cron.service", Some("lxc"), Some("web"), None),
        ("/lxc.payload/web", Some("lxc"), Some("web"), None),
        ("/lxc/web", Some("lxc"), Some("web"), None),
        ("/lxc.payload.ci/system.slice/docker-ID.scope", Some("docker"), Some(ID), None),
        (
            "/machine.slice/systemd-nspawn@deb\\x2d12.service/payload",
            Some("systemd-nspawn"),
            Some("deb-12"),
            None,
        ),
    ];

    fn path(shape: &str) -> CgroupPath {
        let spelled = shape.replace("U_ID", &UID.replace('-', "_"));
        let spelled = spelled.replace("podUID", &format!("pod{UID}")).replace("STATIC", STATIC);
        CgroupPath::parse(&spelled.replace("ID", ID))
    }

    #[test]
    fn paths_of_each_runtime_identify_the_container() {
        for &(shape, runtime, id, pod_uid) in PATHS {
            let found = find(&path(shape)).unwrap_or_else(|| panic!("no container: {shape}"));
            assert_eq!(found.runtime.as_deref(), runtime, "{shape}");
            assert_eq!(found.id.as_deref(), id, "{shape}");
            assert_eq!(found.pod_uid.as_deref(), pod_uid, "{shape}");
        }
    }

    #[test]
    fn other_paths_identify_no_container() {
        for shape in [
            "/",
            "/init.scope",
            "/system.slice",
            "/system.slice/containerd.service",
            "/system.slice/system-getty.slice/getty@tty1.service",
            "/user.slice/user-1000.slice/session-3.scope",
            "/user.slice/64bec1",
            "/kubepods.slice/kubepods-burstable.slice",
            "/kubepods/podless",
            "/podUID",
            "/user.slice/user-1000.slice/user@1000.service/kubepods/podUID",
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods.slice/crio-conmon-ID.scope",
            "/machine.slice/libpod-IDID.scope",
            "/lxc.monitor.web",
            "/lxc.payload.",
            "/system.slice/crun-buildah-buildah.scope",
            "/machine.slice/systemd-nspawn@.service",
        ] {
            assert_eq!(find(&path(shape)), None, "{shape}");
        }
    }

    #[test]
    fn valid_unit_escapes_are_decoded_and_invalid_ones_kept() {
        assert_eq!(unescape("a\\x2db\\x20c"), "a-b c");
        assert_eq!(unescape("a\\x2"), "a\\x2");
        assert_eq!(unescape("\\xzz\\"), "\\xzz\\");
        assert_eq!(unescape("\\xff"), "\u{fffd}");
    }
}
