//! Names from the kubelet's log directories of pods, `/var/log/pods/<namespace>_<pod>_<uid>`. The
//! kubelet creates them before the pod's first container.
use std::{io, path::Path};

use fragwatch_core::model::identity::{Identity, NamedBy};

use crate::lookup::files;

const DIRECTORY: &str = "var/log/pods";

/// The pod with this uid, which may be written with or without dashes.
pub(super) fn pod(root: &Path, uid: &str) -> io::Result<Option<Identity>> {
    let without_dashes = |uid: &str| uid.replace('-', "");
    let wanted = without_dashes(uid);
    let found = files::entries(&root.join(DIRECTORY))?.into_iter().find_map(|entry| {
        // None of the three parts can contain an underscore.
        let mut parts = entry.split('_');
        let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
        let matches = parts.next().is_none() && without_dashes(uid) == wanted;
        matches.then(|| (files::name(namespace), files::name(pod)))
    });
    Ok(found.map(|(namespace, pod)| Identity {
        pod_uid: Some(uid.to_owned()),
        pod,
        namespace,
        ..Identity::by(NamedBy::PodLogs)
    }))
}
