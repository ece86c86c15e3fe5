//! Messages of runtime.v1 with the fields that are used. prost skips all others.
use std::collections::HashMap;

use prost::Message;

/// Request of `ListContainers`.
#[derive(Clone, PartialEq, Message)]
pub struct ListContainersRequest {
    /// Which containers to list; all without it.
    #[prost(message, optional, tag = "1")]
    pub filter: Option<ContainerFilter>,
}

/// Selects containers.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerFilter {
    /// The container's id, or empty.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// Response of `ListContainers`.
#[derive(Clone, PartialEq, Message)]
pub struct ListContainersResponse {
    /// The containers that match.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<Container>,
}

/// A container.
#[derive(Clone, PartialEq, Message)]
pub struct Container {
    /// 64 hex digits.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its labels; the kubelet's begin with `io.kubernetes.`.
    #[prost(map = "string, string", tag = "8")]
    pub labels: HashMap<String, String>,
}

/// Request of `ListPodSandbox`.
#[derive(Clone, PartialEq, Message)]
pub struct ListPodSandboxRequest {
    /// Which sandboxes to list; all without it.
    #[prost(message, optional, tag = "1")]
    pub filter: Option<PodSandboxFilter>,
}

/// Selects sandboxes.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxFilter {
    /// The sandbox's id, or empty.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Labels that the sandbox must have.
    #[prost(map = "string, string", tag = "3")]
    pub label_selector: HashMap<String, String>,
}

/// Response of `ListPodSandbox`.
#[derive(Clone, PartialEq, Message)]
pub struct ListPodSandboxResponse {
    /// The sandboxes that match.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<PodSandbox>,
}

/// A pod's sandbox.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandbox {
    /// 64 hex digits.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The pod's names.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<PodSandboxMetadata>,
}

/// The names of a sandbox's pod.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxMetadata {
    /// The pod's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The pod's uid, with dashes.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// The pod's Kubernetes namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
}

/// Request of `RunPodSandbox`.
#[derive(Clone, PartialEq, Message)]
pub struct RunPodSandboxRequest {
    /// The sandbox to create.
    #[prost(message, optional, tag = "1")]
    pub config: Option<PodSandboxConfig>,
}

/// What a sandbox is created from.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxConfig {
    /// The pod's names.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<PodSandboxMetadata>,
    /// The pod's host name.
    #[prost(string, tag = "2")]
    pub hostname: String,
    /// Directory for the logs of the pod's containers.
    #[prost(string, tag = "3")]
    pub log_directory: String,
    /// The pod's labels.
    #[prost(map = "string, string", tag = "6")]
    pub labels: HashMap<String, String>,
    /// Settings for Linux.
    #[prost(message, optional, tag = "8")]
    pub linux: Option<LinuxPodSandboxConfig>,
}

/// A sandbox's settings for Linux.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxPodSandboxConfig {
    /// The parent cgroup of the sandbox.
    #[prost(string, tag = "1")]
    pub cgroup_parent: String,
}

/// Response of `RunPodSandbox`.
#[derive(Clone, PartialEq, Message)]
pub struct RunPodSandboxResponse {
    /// 64 hex digits.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
}

/// Request of `Status`.
#[derive(Clone, PartialEq, Message)]
pub struct StatusRequest {}

/// Response of `Status`; only that there is one matters.
#[derive(Clone, PartialEq, Message)]
pub struct StatusResponse {}
