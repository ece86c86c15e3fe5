//! A container's OCI spec, `config.json`, as runtimes leave it beside its state: annotations tell the
//! names, and the network namespace's path to whom that was given.
use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path},
};

use fragwatch_core::model::identity::{Identity, NamedBy};
use serde::Deserialize;
use serde_with::{DefaultOnNull, serde_as};

use crate::lookup::files;

/// Annotations of containerd's CRI plug-in, of CRI-O and cri-dockerd, for the pod's uid, its name, its
/// namespace and the container's own name.
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
/// Where runtimes bind network namespaces that they made themselves.
const NAMESPACES: [&str; 3] = ["/run/netns", "/var/run/netns", "/run/docker/netns"];

/// What is read of it.
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
    /// Its names. Annotations are those of a pod if the kubelet's runtime wrote them, or if they are of
    /// the pod that it is known to be in.
    pub(super) fn known(
        &self,
        runtime: &str,
        id: &str,
        of_pod: bool,
        pod_uid: Option<&str>,
    ) -> Identity {
        let mut known = Identity {
            runtime: Some(runtime.to_owned()),
            id: Some(id.to_owned()),
            ..Identity::by(NamedBy::RuntimeState)
        };
        if of_pod || is_of(&self.annotations, pod_uid) {
            take_annotations(&mut known, &self.annotations);
        }
        known
    }

    /// Whether CRI-O made it: podman writes some of CRI-O's annotations too.
    pub(super) fn is_cri_o_s(&self) -> bool {
        match self.annotations.get("io.container.manager") {
            Some(manager) => manager == "cri-o",
            None => self.annotations.contains_key("io.kubernetes.cri-o.ContainerID"),
        }
    }

    /// Whether it is a pod's sandbox.
    pub(super) fn is_sandbox(&self) -> bool {
        ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"]
            .iter()
            .any(|name| self.annotations.get(*name).is_some_and(|kind| kind == "sandbox"))
    }

    /// Inode of the network namespace that it was given, if it is bound where runtimes do, and when that
    /// was made, in milliseconds since 1970.
    pub(super) fn netns(&self, root: &Path) -> Option<(u64, i64)> {
        let found = self.linux.namespaces.iter().find(|found| found.r#type == "network")?;
        let path = Path::new(&found.path);
        let straight =
            path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        let bound = NAMESPACES.iter().any(|directory| path.starts_with(directory));
        let inside = path.strip_prefix("/").ok().filter(|_| straight && bound)?;
        let found = root.join(inside).metadata().ok()?;
        // Nobody can change the times of a namespace's inode: this one is of its making.
        let made_ms =
            found.ctime().saturating_mul(1000).saturating_add(found.ctime_nsec() / 1_000_000);
        Some((found.ino(), made_ms))
    }
}

/// Whether annotations, or labels that are spelled the same, are of this pod. Whoever starts a container
/// by hand may give it any, and images bring their own.
pub(super) fn is_of(annotations: &HashMap<String, String>, pod_uid: Option<&str>) -> bool {
    let uid = ANNOTATIONS.iter().find_map(|[uid, ..]| annotations.get(*uid));
    pod_uid.is_some() && uid.map(String::as_str) == pod_uid
}

/// Attributions in annotations, or labels that are spelled the same.
pub(super) fn take_annotations(identity: &mut Identity, annotations: &HashMap<String, String>) {
    let told = |key: &str| annotations.get(key).and_then(|text| files::name(text));
    for [uid, pod, namespace, container] in ANNOTATIONS {
        identity.pod_uid = identity.pod_uid.take().or_else(|| told(uid));
        identity.pod = identity.pod.take().or_else(|| told(pod));
        identity.namespace = identity.namespace.take().or_else(|| told(namespace));
        identity.name = identity.name.take().or_else(|| told(container));
    }
}
