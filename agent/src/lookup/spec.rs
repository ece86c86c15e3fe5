//! A container's OCI spec, `config.json`, which runtimes keep with the container's state. Its
//! annotations hold the names, and its namespaces the path of the network namespace.
use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path},
};

use fragwatch_core::model::identity::{Identity, NamedBy};
use serde::Deserialize;
use serde_with::{DefaultOnNull, serde_as};

use crate::lookup::files;

/// Annotations for the pod's uid, the pod's name, its namespace and the container's name: those of
/// containerd's CRI plug-in, then those of CRI-O and cri-dockerd.
const ANNOTATIONS: [[&str; 4]; 2] = [
    [
        "io.kubernetes.cri.sandbox-uid",
        "io.kubernetes.cri.sandbox-name",
        "io.kubernetes.cri.sandbox-namespace",
        "io.kubernetes.cri.container-name",
    ],
    [
        "io.kubernetes.pod.uid",
        "io.kubernetes.pod.name",
        "io.kubernetes.pod.namespace",
        "io.kubernetes.container.name",
    ],
];
/// Directories where runtimes bind-mount network namespaces that they created.
const NETNS_DIRECTORIES: [&str; 3] = ["/run/netns", "/var/run/netns", "/run/docker/netns"];

/// The fields of the spec that are used.
#[serde_as]
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Spec {
    #[serde_as(as = "DefaultOnNull")]
    annotations: HashMap<String, String>,
    #[serde_as(as = "DefaultOnNull")]
    linux: Linux,
}

#[serde_as]
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Linux {
    #[serde_as(as = "DefaultOnNull")]
    namespaces: Vec<Namespace>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Namespace {
    r#type: String,
    path: String,
}

impl Spec {
    /// The container's names. Annotations are used only if they are `trusted`, because a CRI runtime
    /// wrote them, or if they name the pod `pod_uid`.
    pub(super) fn identity(
        &self,
        runtime: &str,
        id: &str,
        trusted: bool,
        pod_uid: Option<&str>,
    ) -> Identity {
        let mut identity = Identity {
            runtime: Some(runtime.to_owned()),
            id: Some(id.to_owned()),
            ..Identity::by(NamedBy::RuntimeState)
        };
        if trusted || belongs_to(&self.annotations, pod_uid) {
            apply_annotations(&mut identity, &self.annotations);
        }
        identity
    }

    /// Whether CRI-O wrote it. podman writes some of CRI-O's annotations too.
    pub(super) fn is_from_cri_o(&self) -> bool {
        match self.annotations.get("io.container.manager") {
            Some(manager) => manager == "cri-o",
            None => self.annotations.contains_key("io.kubernetes.cri-o.ContainerID"),
        }
    }

    /// Whether the container is a pod's sandbox.
    pub(super) fn is_sandbox(&self) -> bool {
        ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"]
            .iter()
            .any(|name| self.annotations.get(*name).is_some_and(|kind| kind == "sandbox"))
    }

    /// The container's network namespace: its inode, and when that was created, in milliseconds since
    /// 1970. `None` unless it is bind-mounted in one of [`NETNS_DIRECTORIES`].
    pub(super) fn netns(&self, root: &Path) -> Option<(u64, i64)> {
        let netns = self.linux.namespaces.iter().find(|found| found.r#type == "network")?;
        let path = Path::new(&netns.path);
        let has_no_dots =
            path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        let allowed = NETNS_DIRECTORIES.iter().any(|directory| path.starts_with(directory));
        let relative = path.strip_prefix("/").ok().filter(|_| has_no_dots && allowed)?;
        let inode = root.join(relative).metadata().ok()?;
        // nsfs does not allow changing an inode's times, so ctime is its creation.
        let created_ms =
            inode.ctime().saturating_mul(1000).saturating_add(inode.ctime_nsec() / 1_000_000);
        Some((inode.ino(), created_ms))
    }
}

/// Whether annotations, or labels with the same keys, name this pod. Users and images can set any
/// labels, so those of another pod are not trusted.
pub(super) fn belongs_to(annotations: &HashMap<String, String>, pod_uid: Option<&str>) -> bool {
    let uid = ANNOTATIONS.iter().find_map(|[uid, ..]| annotations.get(*uid));
    pod_uid.is_some() && uid.map(String::as_str) == pod_uid
}

/// Fills the names that are still missing from annotations, or from labels with the same keys.
pub(super) fn apply_annotations(identity: &mut Identity, annotations: &HashMap<String, String>) {
    let value = |key: &str| annotations.get(key).and_then(|text| files::name(text));
    for [uid, pod, namespace, container] in ANNOTATIONS {
        identity.pod_uid = identity.pod_uid.take().or_else(|| value(uid));
        identity.pod = identity.pod.take().or_else(|| value(pod));
        identity.namespace = identity.namespace.take().or_else(|| value(namespace));
        identity.name = identity.name.take().or_else(|| value(container));
    }
}
