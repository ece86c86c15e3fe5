//! The calls of the container runtime interface (k8s.io/cri-api, runtime.v1) that fragwatch and its
//! tests make: gRPC over a unix socket.
//!
//! The messages are written by hand instead of generated, because generating them needs `protoc` at
//! build time, and only a few of the fields are used.
pub mod messages;

use std::path::Path;

use http::uri::PathAndQuery;
use prost::Message;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::messages::{
    CreateContainerRequest, CreateContainerResponse, ListContainersRequest, ListContainersResponse,
    ListPodSandboxRequest, ListPodSandboxResponse, PodSandboxStatusRequest,
    PodSandboxStatusResponse, RunPodSandboxRequest, RunPodSandboxResponse, StartContainerRequest,
    StartContainerResponse, StatusRequest, StatusResponse,
};

/// Largest response that is decoded, in bytes.
const MAX_RESPONSE: usize = 1 << 20;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// The socket did not accept the connection, or what accepted it does not speak HTTP/2.
    #[error("{0}")]
    Connection(String),
    /// The runtime returned an error status.
    #[error("{}: {}", .0.code(), .0.message())]
    Status(Box<Status>),
}

impl CriError {
    /// Whether the server has no such method: it speaks gRPC, but has no CRI.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Status(status) if status.code() == Code::Unimplemented)
    }
}

/// A connection to a runtime. Calls have no timeout of their own.
pub struct Client(Grpc<Channel>);

impl Client {
    /// Connects to a runtime's socket. Must be called within a tokio runtime with I/O enabled.
    pub async fn connect(socket: &Path) -> Result<Self, CriError> {
        let endpoint = Endpoint::try_from(format!("unix://{}", socket.display()))
            .map_err(|error| connection_error(&error))?;
        let channel = endpoint.connect().await.map_err(|error| connection_error(&error))?;
        Ok(Self(Grpc::new(channel).max_decoding_message_size(MAX_RESPONSE)))
    }

    /// `ListContainers`
    pub async fn list_containers(
        &mut self,
        request: ListContainersRequest,
    ) -> Result<ListContainersResponse, CriError> {
        self.call("/runtime.v1.RuntimeService/ListContainers", request).await
    }

    /// `ListPodSandbox`
    pub async fn list_pod_sandbox(
        &mut self,
        request: ListPodSandboxRequest,
    ) -> Result<ListPodSandboxResponse, CriError> {
        self.call("/runtime.v1.RuntimeService/ListPodSandbox", request).await
    }

    /// `RunPodSandbox`
    pub async fn run_pod_sandbox(
        &mut self,
        request: RunPodSandboxRequest,
    ) -> Result<RunPodSandboxResponse, CriError> {
        self.call("/runtime.v1.RuntimeService/RunPodSandbox", request).await
    }

    /// `PodSandboxStatus`
    pub async fn pod_sandbox_status(
        &mut self,
        request: PodSandboxStatusRequest,
    ) -> Result<PodSandboxStatusResponse, CriError> {
        self.call("/runtime.v1.RuntimeService/PodSandboxStatus", request).await
    }

    /// `CreateContainer`
    pub async fn create_container(
        &mut self,
        request: CreateContainerRequest,
    ) -> Result<CreateContainerResponse, CriError> {
        self.call("/runtime.v1.RuntimeService/CreateContainer", request).await
    }

    /// `StartContainer`
    pub async fn start_container(
        &mut self,
        request: StartContainerRequest,
    ) -> Result<StartContainerResponse, CriError> {
        self.call("/runtime.v1.RuntimeService/StartContainer", request).await
    }

    /// `Status`
    pub async fn status(&mut self, request: StatusRequest) -> Result<StatusResponse, CriError> {
        self.call("/runtime.v1.RuntimeService/Status", request).await
    }

    async fn call<Q, A>(&mut self, path: &'static str, request: Q) -> Result<A, CriError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.0.ready().await.map_err(|error| connection_error(&error))?;
        let path = PathAndQuery::from_static(path);
        let response = self.0.unary(Request::new(request), path, ProstCodec::default()).await;
        response.map(tonic::Response::into_inner).map_err(|status| CriError::Status(status.into()))
    }
}

/// tonic's own message only says "transport error"; the last error of its chain holds the reason.
fn connection_error(error: &dyn std::error::Error) -> CriError {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    CriError::Connection(error.to_string())
}
