//! What the runtime and the kubelet say about a container or a pod, and where they said it.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamedBy {
    /// The kubelet's directories under `/var/log/pods`.
    PodLogs,
    /// The runtime's own state: the OCI spec of a container, or podman's list of them.
    RuntimeState,
    /// Docker's configuration of a container.
    DockerConfig,
    /// The runtime's CRI API.
    Cri,
    /// A line that the runtime wrote to its log.
    RuntimeLog,
}

impl NamedBy {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::PodLogs => "/var/log/pods",
            Self::RuntimeState => "the runtime's state",
            Self::DockerConfig => "Docker's configuration",
            Self::Cri => "the runtime's CRI",
            Self::RuntimeLog => "the runtime's log",
        }
    }
}

/// What one of them says. All text comes from outside and may hold anything.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who says it.
    pub by: NamedBy,
    /// The runtime, as in [`crate::model::container::Container::runtime`].
    pub runtime: Option<String>,
    /// The container's id.
    pub id: Option<String>,
    /// The pod's uid, with dashes.
    pub pod_uid: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's Kubernetes namespace.
    pub namespace: Option<String>,
    /// The container's own name.
    pub name: Option<String>,
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// The container with this id, and its pod's uid if that is known.
    Container {
        /// 64 hex digits.
        id: String,
        /// With dashes.
        pod_uid: Option<String>,
    },
    /// The pod with this uid.
    Pod {
        /// With dashes.
        uid: String,
    },
    /// The container that was given the network namespace with this inode, which was made at that time: the
    /// runtime notes it only afterwards.
    Netns {
        /// Inode in nsfs.
        inode: u32,
        /// Milliseconds since 1970.
        made_ms: i64,
    },
    /// The container that a runtime was starting at that time, when it made a network namespace that failed: a guess.
    Starting {
        /// comm of the thread that made it.
        comm: String,
        /// Its process id: a log that others may write too counts only where it names this one.
        #[serde(default)]
        pid: Option<u32>,
        /// Milliseconds since 1970.
        at_ms: i64,
    },
}

/// A reply, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// To what.
    pub query: Query,
    /// What is known, the surest first; nothing if no source knows it.
    pub identities: Vec<Identity>,
    /// Nothing more will come.
    pub last: bool,
}

impl Identity {
    /// Nothing yet, from there.
    pub fn by(by: NamedBy) -> Self {
        Self { by, runtime: None, id: None, pod_uid: None, pod: None, namespace: None, name: None }
    }
}
