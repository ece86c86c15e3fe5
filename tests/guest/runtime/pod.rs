//! Pods, with the cgroup and the directory that a kubelet makes for each before it calls the runtime.

use std::fs;

use anyhow::{Context, Result};
use harness::job::Cgroups;

use super::Identity;
use crate::node;

/// The Kubernetes namespace of all.
pub(super) const NAMESPACE: &str = "shop";

/// A pod without containers yet.
pub(super) struct Pod {
    /// Its uid.
    pub(super) uid: String,
    /// Its name.
    pub(super) name: String,
}

impl Pod {
    /// Makes its cgroup and the directory of its logs.
    pub(super) fn make(runtime: &str, number: u64) -> Result<Self> {
        let uid = format!("{:08x}-6f1d-4c57-9a3e-1f0c2d7b8a03", 0x5eed_0000 + number);
        let pod = Self { uid, name: format!("{runtime}-{number}") };
        let root = node::cgroup_root(Cgroups::V2, "");
        for directory in [format!("{root}{}", pod.cgroup()), pod.logs()] {
            fs::create_dir_all(&directory).with_context(|| format!("can't create {directory}"))?;
        }
        Ok(pod)
    }

    /// The path of its cgroup.
    pub(super) fn cgroup(&self) -> String {
        format!("/kubepods/besteffort/pod{}", self.uid)
    }

    /// The directory of its logs.
    pub(super) fn logs(&self) -> String {
        format!("/var/log/pods/{NAMESPACE}_{}_{}", self.name, self.uid)
    }

    /// The identity of a container in this pod.
    pub(super) fn identity(&self, id: Option<String>) -> Identity {
        Identity {
            id,
            pod_uid: Some(self.uid.clone()),
            pod: Some(self.name.clone()),
            namespace: Some(NAMESPACE.to_owned()),
            name: None,
        }
    }
}
