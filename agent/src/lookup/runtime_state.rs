//! The state that runtimes keep of their containers: OCI specs, and podman's list of names.
mod netns_owners;

use std::{
    io,
    path::{Path, PathBuf},
};

use fragwatch_core::{
    attribution::candidates::MAX_CANDIDATES,
    model::identity::{Identity, NamedBy},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::lookup::{
    files::{self, Found},
    spec::Spec,
};

pub(super) use self::netns_owners::{NetnsOwners, netns_owners};

/// containerd: a directory per containerd namespace, with a directory per container.
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";
/// CRI-O and podman: a directory per storage driver, with a directory per container.
const STORAGES: [&str; 2] = ["run/containers/storage", "var/lib/containers/storage"];
const DRIVERS: [&str; 3] = ["overlay", "vfs", "btrfs"];
/// The default state directories of low-level runtimes, with a directory per container. runc creates
/// it before it starts the container, crun afterwards.
const LOW_LEVEL: [(&str, &str); 2] = [("run/runc", "runc"), ("run/crun", "crun")];
/// A container's directory may be so much older than its network namespace, in milliseconds.
const BEFORE_MS: i64 = 60_000;
/// A runtime bind-mounts a new network namespace, which sets the inode's time, within this time.
const BOUND_WITHIN_MS: i64 = 5_000;
/// The kernel's coarse clock, which stamps inodes, lags behind by at most this.
const CLOCKS_APART_MS: i64 = 50;

/// An entry of podman's list of containers.
#[derive(Debug, Deserialize)]
struct PodmanContainer {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    created: Option<String>,
}

/// A directory with a container's spec.
struct SpecDirectory {
    path: PathBuf,
    id: String,
    /// `None` if only the spec shows which runtime it is.
    runtime: Option<&'static str>,
    /// Whether containerd's CRI plug-in wrote the spec.
    by_cri_plugin: bool,
}

/// The container with this id. `pod_uid` is that of its pod, if known.
pub(super) fn container(root: &Path, id: &str, pod_uid: Option<&str>) -> Found {
    let mut found = Found::default();
    for directory in spec_directories(root, Some(id), &mut found) {
        if let Some(spec) = found.ok(read_spec(&directory.path)).flatten() {
            let trusted = directory.has_trusted_annotations(&spec);
            let identity = spec.identity(directory.runtime(&spec), id, trusted, pod_uid);
            found.identities.push(identity);
        }
    }
    let identity = |runtime: Option<&str>, name| Identity {
        runtime: runtime.map(str::to_owned),
        id: Some(id.to_owned()),
        name,
        ..Identity::by(NamedBy::RuntimeState)
    };
    for (directory, runtime) in LOW_LEVEL {
        if found.identities.is_empty() && root.join(directory).join(id).is_dir() {
            found.identities.push(identity(Some(runtime), None));
        }
    }
    let podman = podman_containers(root, &mut found);
    if let Some(name) = podman.iter().find_map(|container| container.name_of(id)) {
        match found.identities.first_mut() {
            // CRI-O generates a name here for a pod's container; the user gave it another one.
            Some(first) if first.pod.is_some() => {}
            Some(first) => first.name = first.name.take().or(Some(name)),
            None => found.identities.push(identity(None, Some(name))),
        }
    }
    found
}

/// Containers that podman created from `from_ms` to `to_ms`, milliseconds since 1970, the newest
/// first.
pub(super) fn podman_created_within(root: &Path, from_ms: i64, to_ms: i64) -> Found {
    let mut found = Found::default();
    let created_ms = |container: &PodmanContainer| {
        container.created.as_ref()?.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
    };
    let mut within: Vec<(i64, PodmanContainer)> = podman_containers(root, &mut found)
        .into_iter()
        .filter_map(|container| Some((created_ms(&container)?, container)))
        .filter(|(at, _)| (from_ms..=to_ms).contains(at))
        .collect();
    within.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    within.truncate(MAX_CANDIDATES);
    let identity = |(_, container): (i64, PodmanContainer)| Identity {
        runtime: Some("podman".to_owned()),
        name: container.name_of(&container.id),
        id: files::name(&container.id),
        ..Identity::by(NamedBy::RuntimeState)
    };
    found.identities = within.into_iter().map(identity).collect();
    found
}

/// The directories of all containers, or where that of one container may be.
fn spec_directories(root: &Path, id: Option<&str>, found: &mut Found) -> Vec<SpecDirectory> {
    let mut parents = Vec::new();
    let tasks = root.join(CONTAINERD);
    for namespace in found.ok(files::entries(&tasks)).unwrap_or_default() {
        let runtime = if namespace == "moby" { "docker" } else { "containerd" };
        let by_cri_plugin = namespace == "k8s.io";
        parents.push((tasks.join(namespace), "", Some(runtime), by_cri_plugin));
    }
    for storage in STORAGES {
        for driver in DRIVERS {
            let parent = root.join(format!("{storage}/{driver}-containers"));
            parents.push((parent, "userdata", None, false));
        }
    }
    let mut directories = Vec::new();
    for (parent, subdirectory, runtime, by_cri_plugin) in parents {
        let ids = match id {
            Some(id) => vec![id.to_owned()],
            None => found.ok(files::entries(&parent)).unwrap_or_default(),
        };
        directories.extend(ids.into_iter().map(|id| {
            let path = parent.join(&id).join(subdirectory);
            SpecDirectory { path, id, runtime, by_cri_plugin }
        }));
    }
    directories
}

impl SpecDirectory {
    /// Whether the spec's annotations were written by a CRI runtime. Users of other runtimes can set
    /// any annotations.
    fn has_trusted_annotations(&self, spec: &Spec) -> bool {
        match self.runtime {
            Some(_) => self.by_cri_plugin,
            None => spec.is_from_cri_o(),
        }
    }

    fn runtime(&self, spec: &Spec) -> &'static str {
        self.runtime.unwrap_or(if spec.is_from_cri_o() { "cri-o" } else { "podman" })
    }
}

fn read_spec(directory: &Path) -> io::Result<Option<Spec>> {
    let content = files::read(&directory.join("config.json"))?;
    content.map(|content| files::json(&content)).transpose()
}

/// podman's list of containers.
fn podman_containers(root: &Path, found: &mut Found) -> Vec<PodmanContainer> {
    let mut all = Vec::new();
    for driver in DRIVERS {
        let path = format!("var/lib/containers/storage/{driver}-containers/containers.json");
        let content = found.ok(files::read(&root.join(path))).flatten();
        let list = content.and_then(|content| found.ok(files::json(&content)));
        all.extend::<Vec<PodmanContainer>>(list.unwrap_or_default());
    }
    all
}

impl PodmanContainer {
    /// The container's name, if `id` is its id.
    fn name_of(&self, id: &str) -> Option<String> {
        self.names.first().filter(|_| self.id == id).and_then(|name| files::name(name))
    }
}
