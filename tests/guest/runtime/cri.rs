//! A kubelet's side of the container runtime interface, as far as it takes to start a pod: gRPC over
//! a unix socket, with the messages' fields that matter here.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// Longer than a kubelet's: an emulated processor takes its time.
const TIMEOUT: Duration = Duration::from_mins(2);

#[derive(Clone, PartialEq, Message)]
pub(super) struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxConfig {
    #[prost(message, optional, tag = "1")]
    pub(super) metadata: Option<PodSandboxMetadata>,
    #[prost(string, tag = "2")]
    pub(super) hostname: String,
    #[prost(string, tag = "3")]
    pub(super) log_directory: String,
    #[prost(map = "string, string", tag = "6")]
    pub(super) labels: HashMap<String, String>,
    #[prost(message, optional, tag = "8")]
    pub(super) linux: Option<LinuxPodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LinuxPodSandboxConfig {
    #[prost(string, tag = "1")]
    pub(super) cgroup_parent: String,
}

#[derive(Clone, PartialEq, Message)]
struct RunPodSandboxResponse {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Empty {}

/// Starts a pod's sandbox: its id, or the runtime's error.
pub(super) fn run_pod_sandbox(
    socket: &str,
    config: PodSandboxConfig,
) -> Result<std::result::Result<String, String>> {
    let request = RunPodSandboxRequest { config: Some(config) };
    let response = call::<_, RunPodSandboxResponse>(socket, "RunPodSandbox", request)?;
    Ok(response.map(|response| response.pod_sandbox_id).map_err(|error| error.message().to_owned()))
}

/// Whether the runtime accepts requests yet; its error if not.
pub(super) fn status(socket: &str) -> Result<std::result::Result<(), String>> {
    let response = call::<_, Empty>(socket, "Status", Empty {})?;
    Ok(response.map(drop).map_err(|error| error.message().to_owned()))
}

fn call<Q, A>(socket: &str, method: &str, request: Q) -> Result<std::result::Result<A, Status>>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start an event loop")?;
    runtime.block_on(async {
        let endpoint = Endpoint::try_from(format!("unix://{socket}"))
            .with_context(|| format!("{socket} is no address"))?
            .timeout(TIMEOUT);
        let channel =
            endpoint.connect().await.with_context(|| format!("can't connect to {socket}"))?;
        let path = PathAndQuery::try_from(format!("/runtime.v1.RuntimeService/{method}"))
            .with_context(|| format!("{method} is no method's name"))?;
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.with_context(|| format!("{socket} takes no request"))?;
        let response = grpc.unary(Request::new(request), path, ProstCodec::default()).await;
        Ok(response.map(tonic::Response::into_inner))
    })
}
