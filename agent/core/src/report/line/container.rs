//! Containers, and what is known of them.
use schemars::JsonSchema;
use serde::Serialize;

use super::time::Time;
use crate::model::identity::NamedBy;

/// A container, or a pod of which no container is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Container {
    /// The runtime, such as `docker` or `containerd`.
    pub runtime: Option<String>,
    /// The container's id: 64 hex digits with most runtimes.
    pub id: Option<String>,
    /// The pod's uid.
    pub pod_uid: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's Kubernetes namespace.
    pub namespace: Option<String>,
    /// The container's own name.
    pub name: Option<String>,
    /// Where the names come from.
    pub named_by: Option<NamedBy>,
}

/// A container that a creation may have been for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Candidate {
    /// The container.
    #[serde(flatten)]
    pub container: Container,
    /// Why it may be this one.
    pub why: String,
}

/// The container of a creation that was reported before more was known.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LateContainer {
    /// When the creation ended.
    pub time: Time,
    /// The creation's `id`.
    pub creation: u64,
    /// The process that did it.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The container, if it is certain.
    pub container: Option<Container>,
    /// Those that it may be otherwise, the likeliest first.
    pub candidates: Vec<Candidate>,
}

/// A cgroup.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Cgroup {
    /// Its id: the inode number of its directory.
    pub id: Option<u64>,
    /// Its path from the root of its hierarchy.
    pub path: Option<String>,
}
