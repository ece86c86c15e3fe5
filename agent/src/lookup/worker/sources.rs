//! The files that names are read from. Each source that can't be read is reported once.
use std::{collections::HashSet, error::Error, path::PathBuf};

use fragwatch_core::{
    model::{
        container::is_id,
        identity::{Identity, Query},
    },
    units::printable,
};

use crate::lookup::{
    docker,
    files::Found,
    pod_logs, runtime_log,
    runtime_state::{self, NetnsOwners},
};

/// Names of sources in warnings.
const STATE: &str = "the runtime's state";
const LOG: &str = "the runtime's log";
const DOCKER: &str = "Docker's configuration";
const POD_LOGS: &str = "/var/log/pods";

pub(in crate::lookup) struct Sources {
    root: PathBuf,
    /// Sources for which a warning was logged.
    warned: HashSet<&'static str>,
}

impl Sources {
    pub(in crate::lookup) fn new(root: PathBuf) -> Self {
        Self { root, warned: HashSet::new() }
    }

    /// What files know now, the most reliable first.
    pub(in crate::lookup) fn look_up(&mut self, query: &Query) -> Vec<Identity> {
        match query {
            Query::Container { id, pod_uid } => {
                let mut identities = Vec::new();
                // The id becomes part of paths.
                if is_id(id) {
                    let found = runtime_state::container(&self.root, id, pod_uid.as_deref());
                    identities = self.take(STATE, found);
                    let mut found = Found::default();
                    let container = docker::container(&self.root, id, pod_uid.as_deref());
                    found.identities = found.ok(container).flatten().into_iter().collect();
                    identities.extend(self.take(DOCKER, found));
                }
                if let Some(uid) = pod_uid {
                    identities.extend(self.pod(uid));
                }
                identities
            }
            Query::Pod { uid } => self.pod(uid),
            // Runtimes record it only after the container was created.
            Query::Netns { .. } => Vec::new(),
            Query::Starting { comm, pid, at_ms } => {
                let found = runtime_log::candidates(&self.root, comm, *pid, *at_ms);
                self.take(LOG, found)
            }
        }
    }

    fn pod(&mut self, uid: &str) -> Vec<Identity> {
        let mut found = Found::default();
        let pod = pod_logs::pod(&self.root, uid);
        found.identities = found.ok(pod).flatten().into_iter().collect();
        self.take(POD_LOGS, found)
    }

    /// Owners of network namespaces that were recorded since `since_ms`, milliseconds since 1970.
    pub(super) fn netns_owners(&mut self, since_ms: i64) -> NetnsOwners {
        let (owners, error) = runtime_state::netns_owners(&self.root, since_ms);
        if let Some(error) = error {
            self.warn(STATE, &error);
        }
        owners
    }

    fn take(&mut self, source: &'static str, found: Found) -> Vec<Identity> {
        if let Some(error) = found.error {
            self.warn(source, &error);
        }
        found.identities
    }

    /// Logs that a source failed; at level `debug` if that was logged before.
    pub(super) fn warn(&mut self, source: &'static str, error: &dyn Error) {
        let error = printable(&error.to_string());
        if self.warned.insert(source) {
            log::warn!(
                "could not read names of containers from {source}: {error}; some containers may \
                 stay unnamed; this is not logged again"
            );
        } else {
            log::debug!("could not read names of containers from {source}: {error}");
        }
    }

    /// Sources for which a warning was logged.
    #[cfg(test)]
    pub(in crate::lookup) fn warned(&self) -> Vec<&'static str> {
        self.warned.iter().copied().collect()
    }
}
