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

/// Request of `PodSandboxStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxStatusRequest {
    /// 64 hex digits.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
}

/// Response of `PodSandboxStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxStatusResponse {
    /// The sandbox's state.
    #[prost(message, optional, tag = "1")]
    pub status: Option<PodSandboxStatus>,
}

/// The state of a sandbox.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxStatus {
    /// Its network.
    #[prost(message, optional, tag = "5")]
    pub network: Option<PodSandboxNetworkStatus>,
}

/// The network of a sandbox.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxNetworkStatus {
    /// The pod's address.
    #[prost(string, tag = "1")]
    pub ip: String,
}

/// Request of `CreateContainer`.
#[derive(Clone, PartialEq, Message)]
pub struct CreateContainerRequest {
    /// The sandbox that the container belongs to.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
    /// The container to create.
    #[prost(message, optional, tag = "2")]
    pub config: Option<ContainerConfig>,
    /// What the sandbox was created from.
    #[prost(message, optional, tag = "3")]
    pub sandbox_config: Option<PodSandboxConfig>,
}

/// What a container is created from.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerConfig {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ContainerMetadata>,
    /// Its image.
    #[prost(message, optional, tag = "2")]
    pub image: Option<ImageSpec>,
    /// The program, in place of the image's.
    #[prost(string, repeated, tag = "3")]
    pub command: Vec<String>,
    /// The program's arguments.
    #[prost(string, repeated, tag = "4")]
    pub args: Vec<String>,
    /// Directories of the node.
    #[prost(message, repeated, tag = "7")]
    pub mounts: Vec<Mount>,
    /// Its labels.
    #[prost(map = "string, string", tag = "9")]
    pub labels: HashMap<String, String>,
    /// Its log, below the sandbox's directory of logs.
    #[prost(string, tag = "11")]
    pub log_path: String,
    /// Settings for Linux.
    #[prost(message, optional, tag = "15")]
    pub linux: Option<LinuxContainerConfig>,
}

/// The name of a container.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerMetadata {
    /// As in the pod's specification.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// An image.
#[derive(Clone, PartialEq, Message)]
pub struct ImageSpec {
    /// Its name with a tag.
    #[prost(string, tag = "1")]
    pub image: String,
}

/// A directory of the node that a container sees.
#[derive(Clone, PartialEq, Message)]
pub struct Mount {
    /// Where the container sees it.
    #[prost(string, tag = "1")]
    pub container_path: String,
    /// Where it is on the node.
    #[prost(string, tag = "2")]
    pub host_path: String,
    /// The container can't write to it.
    #[prost(bool, tag = "3")]
    pub readonly: bool,
}

/// A container's settings for Linux.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxContainerConfig {
    /// Its limits.
    #[prost(message, optional, tag = "1")]
    pub resources: Option<LinuxContainerResources>,
    /// What it may do.
    #[prost(message, optional, tag = "2")]
    pub security_context: Option<LinuxContainerSecurityContext>,
}

/// The limits of a container.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxContainerResources {
    /// Weight of its CPU time.
    #[prost(int64, tag = "3")]
    pub cpu_shares: i64,
    /// Most memory that it may take.
    #[prost(int64, tag = "4")]
    pub memory_limit_in_bytes: i64,
    /// How likely the OOM killer chooses it.
    #[prost(int64, tag = "5")]
    pub oom_score_adj: i64,
}

/// What a container may do.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxContainerSecurityContext {
    /// Capabilities beside the runtime's default.
    #[prost(message, optional, tag = "1")]
    pub capabilities: Option<Capability>,
    /// Its namespaces.
    #[prost(message, optional, tag = "3")]
    pub namespace_options: Option<NamespaceOption>,
    /// Its user.
    #[prost(message, optional, tag = "5")]
    pub run_as_user: Option<Int64Value>,
    /// Its root can't be written.
    #[prost(bool, tag = "7")]
    pub readonly_rootfs: bool,
    /// Programs that it runs gain nothing.
    #[prost(bool, tag = "11")]
    pub no_new_privs: bool,
    /// Its seccomp profile.
    #[prost(message, optional, tag = "15")]
    pub seccomp: Option<SecurityProfile>,
}

/// Capabilities, by names without `CAP_`.
#[derive(Clone, PartialEq, Message)]
pub struct Capability {
    /// Those that are added.
    #[prost(string, repeated, tag = "1")]
    pub add_capabilities: Vec<String>,
    /// Those that are dropped.
    #[prost(string, repeated, tag = "2")]
    pub drop_capabilities: Vec<String>,
}

/// Namespaces of a container: 0 is the pod's, 1 the container's own, 2 the node's.
#[derive(Clone, PartialEq, Message)]
pub struct NamespaceOption {
    /// Of the network.
    #[prost(int32, tag = "1")]
    pub network: i32,
    /// Of processes.
    #[prost(int32, tag = "2")]
    pub pid: i32,
    /// Of System V IPC.
    #[prost(int32, tag = "3")]
    pub ipc: i32,
}

/// A number that may be missing.
#[derive(Clone, PartialEq, Message)]
pub struct Int64Value {
    /// The number.
    #[prost(int64, tag = "1")]
    pub value: i64,
}

/// A seccomp profile: 0 is the runtime's default, 1 none.
#[derive(Clone, PartialEq, Message)]
pub struct SecurityProfile {
    /// Which one.
    #[prost(int32, tag = "1")]
    pub profile_type: i32,
}

/// Response of `CreateContainer`.
#[derive(Clone, PartialEq, Message)]
pub struct CreateContainerResponse {
    /// 64 hex digits.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

/// Request of `StartContainer`.
#[derive(Clone, PartialEq, Message)]
pub struct StartContainerRequest {
    /// 64 hex digits.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

/// Response of `StartContainer`.
#[derive(Clone, PartialEq, Message)]
pub struct StartContainerResponse {}

/// Request of `Status`.
#[derive(Clone, PartialEq, Message)]
pub struct StatusRequest {}

/// Response of `Status`; only that there is one matters.
#[derive(Clone, PartialEq, Message)]
pub struct StatusResponse {}
