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
    pattern("kata_", Id::Hex, "", Some("kata")),
    within("kata_overhead", Id::Hex, "kata"),
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

/// The directory of the outermost container that a path is in, as names from the root.
pub fn outermost_container(path: &CgroupPath) -> Option<&[String]> {
    let is_container = |at: &usize| {
        let parent = at.checked_sub(1).map(|above| path.names[above].as_str());
        PATTERNS.iter().any(|pattern| pattern.id_in(&path.names[*at], parent).is_some())
    };
    (0..path.names.len()).find(is_container).map(|at| &path.names[..=at])
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
mod tests;
