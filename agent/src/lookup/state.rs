//! State that runtimes keep of their containers: OCI specs, and podman's list of names.
use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
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

/// containerd's, one directory for each of its own namespaces, in it one for each container.
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";
/// CRI-O's and podman's, by storage driver; in it one for each container.
const STORAGES: [&str; 2] = ["run/containers/storage", "var/lib/containers/storage"];
const DRIVERS: [&str; 3] = ["overlay", "vfs", "btrfs"];
/// Their own where nobody above them gives them another, one directory for each container. runc makes it
/// before it starts the container, crun afterwards.
const LOW_LEVEL: [(&str, &str); 2] = [("run/runc", "runc"), ("run/crun", "crun")];
/// A record may have been begun so long before the namespace was made, in milliseconds.
const BEFORE_MS: i64 = 60_000;
/// A runtime binds a namespace that it has made at once, which makes the inode.
const BOUND_WITHIN_MS: i64 = 5_000;
/// How far the kernel's coarse clock may be behind.
const CLOCKS_APART_MS: i64 = 50;

/// A container that podman has stored.
#[derive(Debug, Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    created: Option<String>,
}

/// A directory with a container's spec.
struct Place {
    directory: PathBuf,
    id: String,
    /// `None` if that stands in the spec.
    runtime: Option<&'static str>,
    /// containerd's CRI plug-in made it.
    kubelets: bool,
}

/// The container with this id, of that pod if it is in one.
pub(super) fn container(root: &Path, id: &str, pod_uid: Option<&str>) -> Found {
    let mut found = Found::default();
    for place in places(root, Some(id), &mut found) {
        if let Some(spec) = found.read(read_spec(&place.directory)).flatten() {
            found.known.push(spec.known(
                place.runtime(&spec),
                id,
                place.is_kubelets(&spec),
                pod_uid,
            ));
        }
    }
    let known = |runtime: Option<&str>, name| Identity {
        runtime: runtime.map(str::to_owned),
        id: Some(id.to_owned()),
        name,
        ..Identity::by(NamedBy::RuntimeState)
    };
    for (directory, runtime) in LOW_LEVEL {
        if found.known.is_empty() && root.join(directory).join(id).is_dir() {
            found.known.push(known(Some(runtime), None));
        }
    }
    if let Some(name) = stored(root, &mut found).iter().find_map(|stored| stored.name_of(id)) {
        match found.known.first_mut() {
            // Of a pod's container the runtime makes up a name here that nobody gave it.
            Some(first) if first.pod.is_some() => {}
            Some(first) => first.name = first.name.take().or(Some(name)),
            None => found.known.push(known(None, Some(name))),
        }
    }
    found
}

/// A container that was given a network namespace of its own, or its pod's.
pub(super) struct LateAttribution {
    /// Inode of the namespace.
    inode: u64,
    /// When that inode was made, in milliseconds since 1970.
    made_ms: i64,
    /// It is a pod's sandbox.
    is_sandbox: bool,
    /// Who it is.
    known: Identity,
}

/// Owners of network namespaces by what was written since then, milliseconds since 1970: nothing older
/// is read.
pub(super) fn owners(root: &Path, since_ms: i64) -> (Vec<LateAttribution>, Option<io::Error>) {
    let mut found = Found::default();
    let mut owners = Vec::new();
    for place in places(root, None, &mut found) {
        if !is_newer(&place.directory, since_ms - BEFORE_MS) {
            continue;
        }
        let Some(spec) = found.read(read_spec(&place.directory)).flatten() else { continue };
        if let Some((inode, made_ms)) = spec.netns(root) {
            let of_pod = place.is_kubelets(&spec);
            let known = spec.known(place.runtime(&spec), &place.id, of_pod, None);
            let is_sandbox = of_pod && spec.is_sandbox();
            owners.push(LateAttribution { inode, made_ms, is_sandbox, known });
        }
    }
    if owners.iter().any(|owner| owner.known.pod.is_none()) {
        let stored = stored(root, &mut found);
        for owner in owners.iter_mut().filter(|owner| owner.known.pod.is_none()) {
            let id = owner.known.id.as_deref().unwrap_or_default();
            owner.known.name = stored.iter().find_map(|stored| stored.name_of(id));
        }
    }
    (owners, found.unread)
}

/// Whose a network namespace is that was made at that time, milliseconds since 1970: the sandbox of a pod,
/// or the only one that has it. The kernel gives an inode's number to another when it is free.
pub(super) fn owner_of(owners: &[LateAttribution], inode: u32, made_ms: i64) -> Option<&Identity> {
    let bound = (made_ms - CLOCKS_APART_MS)..=(made_ms + BOUND_WITHIN_MS);
    let has_it = |owner: &&LateAttribution| {
        owner.inode == u64::from(inode) && bound.contains(&owner.made_ms)
    };
    let having: Vec<&LateAttribution> = owners.iter().filter(has_it).collect();
    let sandboxes: Vec<&LateAttribution> =
        having.iter().copied().filter(|owner| owner.is_sandbox).collect();
    match (sandboxes.as_slice(), having.as_slice()) {
        ([one], _) | ([], [one]) => Some(&one.known),
        _ => None,
    }
}

/// Containers that podman stored from `from_ms` to `to_ms`, milliseconds since 1970, the newest first.
pub(super) fn stored_within(root: &Path, from_ms: i64, to_ms: i64) -> Found {
    let mut found = Found::default();
    let created = |stored: &Stored| {
        stored.created.as_ref()?.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
    };
    let mut within: Vec<(i64, Stored)> = stored(root, &mut found)
        .into_iter()
        .filter_map(|stored| Some((created(&stored)?, stored)))
        .filter(|(at, _)| (from_ms..=to_ms).contains(at))
        .collect();
    within.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let known = |(_, stored): (i64, Stored)| Identity {
        runtime: Some("podman".to_owned()),
        name: stored.name_of(&stored.id),
        id: files::name(&stored.id),
        ..Identity::by(NamedBy::RuntimeState)
    };
    within.truncate(MAX_CANDIDATES);
    found.known = within.into_iter().map(known).collect();
    found
}

/// Directories of containers, of all or of that one.
fn places(root: &Path, id: Option<&str>, found: &mut Found) -> Vec<Place> {
    let mut above = Vec::new();
    let tasks = root.join(CONTAINERD);
    for namespace in found.read(files::entries(&tasks)).unwrap_or_default() {
        let runtime = if namespace == "moby" { "docker" } else { "containerd" };
        let kubelets = namespace == "k8s.io";
        above.push((tasks.join(namespace), "", Some(runtime), kubelets));
    }
    for storage in STORAGES {
        for driver in DRIVERS {
            let directory = root.join(format!("{storage}/{driver}-containers"));
            above.push((directory, "userdata", None, false));
        }
    }
    let mut places = Vec::new();
    for (above, below, runtime, kubelets) in above {
        let ids = match id {
            Some(id) => vec![id.to_owned()],
            None => found.read(files::entries(&above)).unwrap_or_default(),
        };
        let place =
            |id: String| Place { directory: above.join(&id).join(below), id, runtime, kubelets };
        places.extend(ids.into_iter().map(place));
    }
    places
}

impl Place {
    /// Whether its annotations are those of a pod, which only the kubelet's runtimes write: users of
    /// others may write what they like.
    fn is_kubelets(&self, spec: &Spec) -> bool {
        match self.runtime {
            Some(_) => self.kubelets,
            None => spec.is_cri_o_s(),
        }
    }

    fn runtime(&self, spec: &Spec) -> &'static str {
        self.runtime.unwrap_or(if spec.is_cri_o_s() { "cri-o" } else { "podman" })
    }
}

fn read_spec(directory: &Path) -> io::Result<Option<Spec>> {
    let content = files::read(&directory.join("config.json"))?;
    content.map(|content| files::json(&content)).transpose()
}

/// podman's own list.
fn stored(root: &Path, found: &mut Found) -> Vec<Stored> {
    let mut all = Vec::new();
    for driver in DRIVERS {
        let path = format!("var/lib/containers/storage/{driver}-containers/containers.json");
        let content = found.read(files::read(&root.join(path))).flatten();
        let list = content.and_then(|content| found.read(files::json::<Vec<Stored>>(&content)));
        all.extend(list.unwrap_or_default());
    }
    all
}

impl Stored {
    /// Its name, if it has that id.
    fn name_of(&self, id: &str) -> Option<String> {
        self.names.first().filter(|_| self.id == id).and_then(|name| files::name(name))
    }
}

fn is_newer(path: &Path, than_ms: i64) -> bool {
    let modified = path.metadata().and_then(|found| found.modified());
    let since = modified.ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|ms| ms >= than_ms))
}
