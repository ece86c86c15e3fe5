//! Owners of network namespaces: containers whose spec names the namespace's path.
use std::{io, path::Path, time::SystemTime};

use fragwatch_core::model::identity::Identity;

use crate::lookup::{
    files::Found,
    runtime_state::{
        BEFORE_MS, BOUND_WITHIN_MS, CLOCKS_APART_MS, podman_containers, read_spec, spec_directories,
    },
};

/// A container that has a network namespace of its own, or its pod's.
struct NetnsOwner {
    /// The namespace's inode in nsfs.
    inode: u64,
    /// When the inode was created, in milliseconds since 1970.
    created_ms: i64,
    /// Whether the container is a pod's sandbox.
    is_sandbox: bool,
    identity: Identity,
}

/// The owners that one scan of the runtimes' records found.
#[derive(Default)]
pub(in crate::lookup) struct NetnsOwners(Vec<NetnsOwner>);

/// Scans the records that were written since `since_ms`, milliseconds since 1970. The error is the
/// last one; the owners may be incomplete then.
pub(in crate::lookup) fn netns_owners(
    root: &Path,
    since_ms: i64,
) -> (NetnsOwners, Option<io::Error>) {
    let mut found = Found::default();
    let mut owners = Vec::new();
    for directory in spec_directories(root, None, &mut found) {
        if !is_newer(&directory.path, since_ms - BEFORE_MS) {
            continue;
        }
        let Some(spec) = found.ok(read_spec(&directory.path)).flatten() else { continue };
        if let Some((inode, created_ms)) = spec.netns(root) {
            let trusted = directory.has_trusted_annotations(&spec);
            let identity = spec.identity(directory.runtime(&spec), &directory.id, trusted, None);
            let is_sandbox = trusted && spec.is_sandbox();
            owners.push(NetnsOwner { inode, created_ms, is_sandbox, identity });
        }
    }
    if owners.iter().any(|owner| owner.identity.pod.is_none()) {
        let podman = podman_containers(root, &mut found);
        for owner in owners.iter_mut().filter(|owner| owner.identity.pod.is_none()) {
            let id = owner.identity.id.as_deref().unwrap_or_default();
            owner.identity.name = podman.iter().find_map(|container| container.name_of(id));
        }
    }
    (NetnsOwners(owners), found.error)
}

impl NetnsOwners {
    /// The owner of the network namespace with this inode, which was created at `created_ms`: the
    /// sandbox of a pod, or the only container that has it. The time is compared because the kernel
    /// reuses inode numbers.
    pub(in crate::lookup) fn find(&self, inode: u32, created_ms: i64) -> Option<&Identity> {
        let bound = (created_ms - CLOCKS_APART_MS)..=(created_ms + BOUND_WITHIN_MS);
        let has_it = |owner: &&NetnsOwner| {
            owner.inode == u64::from(inode) && bound.contains(&owner.created_ms)
        };
        let having: Vec<&NetnsOwner> = self.0.iter().filter(has_it).collect();
        let sandboxes: Vec<&NetnsOwner> =
            having.iter().copied().filter(|owner| owner.is_sandbox).collect();
        match (sandboxes.as_slice(), having.as_slice()) {
            ([one], _) | ([], [one]) => Some(&one.identity),
            _ => None,
        }
    }
}

fn is_newer(path: &Path, than_ms: i64) -> bool {
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    let since = modified.ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|ms| ms >= than_ms))
}
