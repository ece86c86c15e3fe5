//! The kubelet's directories for pods' logs, `/var/log/pods/<namespace>_<pod>_<uid>`, which are there
//! before a pod's first container is.
use std::{io, path::Path};

use fragwatch_core::model::identity::{Identity, NamedBy};

use crate::lookup::files;

const DIRECTORY: &str = "var/log/pods";

/// The pod with this uid.
pub(super) fn pod(root: &Path, uid: &str) -> io::Result<Option<Identity>> {
    let plain = |uid: &str| uid.replace('-', "");
    let wanted = plain(uid);
    let found = files::entries(&root.join(DIRECTORY))?.into_iter().find_map(|entry| {
        // No part of it holds an underscore.
        let mut parts = entry.split('_');
        let (namespace, pod, of) = (parts.next()?, parts.next()?, parts.next()?);
        let is_it = parts.next().is_none() && plain(of) == wanted;
        is_it.then(|| (files::name(namespace), files::name(pod)))
    });
    Ok(found.map(|(namespace, pod)| Identity {
        pod_uid: Some(uid.to_owned()),
        pod,
        namespace,
        ..Identity::by(NamedBy::PodLogs)
    }))
}
