//! Paths of all runtimes, and the container that each identifies.
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
    ("/kubepods/besteffort/podUID/kata_ID", Some("kata"), Some(ID), Some(UID)),
    ("/kata_overhead/ID", Some("kata"), Some(ID), None),
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
    ("/machine.slice/machine-libpod_pod_ID.slice/libpod-ID.scope", Some("podman"), Some(ID), None),
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
