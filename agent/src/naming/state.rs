//! State that runtimes keep of their containers: OCI specs, and podman's list of names.
use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::Timestamp;
use serde::Deserialize;

use super::{files, spec::Spec};
use crate::container::known::{Known, NamedBy};

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
}

/// The container with this id.
pub(super) fn container(root: &Path, id: &str) -> io::Result<Vec<Known>> {
    let mut known = Vec::new();
    for place in places(root, Some(id))? {
        if let Some(spec) = read_spec(&place.directory)? {
            known.push(spec.known(place.runtime(&spec), id));
        }
    }
    for (directory, runtime) in LOW_LEVEL {
        if known.is_empty() && root.join(directory).join(id).is_dir() {
            let runtime = Some(runtime.to_owned());
            let id = Some(id.to_owned());
            known.push(Known { runtime, id, ..Known::by(NamedBy::RuntimeState) });
        }
    }
    let stored = stored(root)?.into_iter().find(|stored| stored.id == id);
    if let Some(name) = stored.and_then(|stored| stored.names.into_iter().next()) {
        let name = files::name(&name);
        match known.first_mut() {
            // Of a pod's container the runtime makes up a name here that nobody gave it.
            Some(first) => first.name = first.name.take().or(name.filter(|_| first.pod.is_none())),
            None => known.push(Known {
                id: Some(id.to_owned()),
                name,
                ..Known::by(NamedBy::RuntimeState)
            }),
        }
    }
    Ok(known)
}

/// The container that was given this network namespace, a pod's sandbox before others. Only what was
/// written since then is looked at.
pub(super) fn of_netns(root: &Path, inode: u32, made_ms: i64) -> io::Result<Option<Known>> {
    let mut found: Option<(bool, Known)> = None;
    for place in places(root, None)? {
        if !is_newer(&place.directory, made_ms - BEFORE_MS) {
            continue;
        }
        // One that is being written, or goes, is no reason not to look at others.
        let Ok(Some(spec)) = read_spec(&place.directory) else { continue };
        if spec.netns(root) == Some(u64::from(inode))
            && found.as_ref().is_none_or(|(sandbox, _)| !sandbox)
        {
            found = Some((spec.is_sandbox(), spec.known(place.runtime(&spec), &place.id)));
        }
    }
    let Some((_, mut known)) = found else { return Ok(None) };
    if known.pod.is_none() {
        let stored = stored(root)?.into_iter().find(|stored| Some(&stored.id) == known.id.as_ref());
        known.name =
            stored.and_then(|stored| stored.names.first().and_then(|name| files::name(name)));
    }
    Ok(Some(known))
}

/// Containers that podman stored from `from_ms` to `to_ms`, milliseconds since 1970, the newest first.
pub(super) fn stored_within(root: &Path, from_ms: i64, to_ms: i64) -> io::Result<Vec<Known>> {
    let created = |stored: &Stored| {
        stored.created.as_ref()?.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
    };
    let mut found: Vec<(i64, Stored)> = stored(root)?
        .into_iter()
        .filter_map(|stored| Some((created(&stored)?, stored)))
        .filter(|(at, _)| (from_ms..=to_ms).contains(at))
        .collect();
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let known = |stored: Stored| Known {
        runtime: Some("podman".to_owned()),
        id: files::name(&stored.id),
        name: stored.names.first().and_then(|name| files::name(name)),
        ..Known::by(NamedBy::RuntimeState)
    };
    Ok(found.into_iter().map(|(_, stored)| known(stored)).collect())
}

/// Directories of containers, of all or of that one.
fn places(root: &Path, id: Option<&str>) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut add = |above: &Path, below: &str, runtime: Option<&'static str>| -> io::Result<()> {
        let ids = match id {
            Some(id) => vec![id.to_owned()],
            None => files::entries(above)?,
        };
        places.extend(ids.into_iter().map(|id| Place {
            directory: above.join(&id).join(below),
            id,
            runtime,
        }));
        Ok(())
    };
    for namespace in files::entries(&root.join(CONTAINERD))? {
        let runtime = if namespace == "moby" { "docker" } else { "containerd" };
        add(&root.join(CONTAINERD).join(namespace), "", Some(runtime))?;
    }
    for storage in STORAGES {
        for driver in DRIVERS {
            add(&root.join(format!("{storage}/{driver}-containers")), "userdata", None)?;
        }
    }
    Ok(places)
}

impl Place {
    fn runtime(&self, spec: &Spec) -> &'static str {
        self.runtime.unwrap_or(if spec.is_cri_o_s() { "cri-o" } else { "podman" })
    }
}

fn read_spec(directory: &Path) -> io::Result<Option<Spec>> {
    let content = files::read(&directory.join("config.json"))?;
    content.map(|content| serde_json::from_slice(&content).map_err(io::Error::from)).transpose()
}

/// podman's own list.
fn stored(root: &Path) -> io::Result<Vec<Stored>> {
    let mut all = Vec::new();
    for driver in DRIVERS {
        let path = format!("var/lib/containers/storage/{driver}-containers/containers.json");
        if let Some(content) = files::read(&root.join(path))? {
            all.extend(serde_json::from_slice::<Vec<Stored>>(&content)?);
        }
    }
    Ok(all)
}

fn is_newer(path: &Path, than_ms: i64) -> bool {
    let modified = path.metadata().and_then(|found| found.modified());
    let since = modified.ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|ms| ms >= than_ms))
}
