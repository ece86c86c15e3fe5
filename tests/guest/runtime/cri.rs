//! The calls that a kubelet makes to start a pod's sandbox.
use std::{path::Path, time::Duration};

use anyhow::{Context as _, Error, Result};
use fragwatch_cri::{
    Client, CriError,
    messages::{
        CreateContainerRequest, PodSandboxConfig, PodSandboxStatusRequest, RunPodSandboxRequest,
        StartContainerRequest, StatusRequest,
    },
};

/// Longer than a kubelet's, because an emulated processor is slow.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Starts a pod's sandbox. Returns its id, or the runtime's error message.
pub(super) fn run_pod_sandbox(
    socket: &str,
    config: PodSandboxConfig,
) -> Result<std::result::Result<String, String>> {
    let request = RunPodSandboxRequest { config: Some(config) };
    let response = call(socket, async move |client| client.run_pod_sandbox(request).await)?;
    Ok(response.map(|response| response.pod_sandbox_id))
}

/// The address of a sandbox.
pub(super) fn pod_ip(socket: &str, id: &str) -> Result<String> {
    let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned() };
    let response = call(socket, async move |client| client.pod_sandbox_status(request).await)?;
    let status = response.map_err(Error::msg).context("a sandbox has no status")?.status;
    status.and_then(|status| status.network).map(|network| network.ip).context("it has no address")
}

/// Creates a container in a sandbox and starts it.
pub(super) fn run_container(socket: &str, request: CreateContainerRequest) -> Result<()> {
    let created = call(socket, async move |client| client.create_container(request).await)?;
    let created = created.map_err(Error::msg).context("a container can't be created")?;
    let request = StartContainerRequest { container_id: created.container_id };
    let started = call(socket, async move |client| client.start_container(request).await)?;
    started.map(drop).map_err(Error::msg).context("a container can't be started")
}

/// Whether the runtime accepts requests yet; its error message if not.
pub(super) fn status(socket: &str) -> Result<std::result::Result<(), String>> {
    let response = call(socket, async |client| client.status(StatusRequest {}).await)?;
    Ok(response.map(drop))
}

/// Makes one call. An error status of the runtime is the inner error.
fn call<A>(
    socket: &str,
    request: impl AsyncFnOnce(&mut Client) -> std::result::Result<A, CriError>,
) -> Result<std::result::Result<A, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start an event loop")?;
    runtime.block_on(async {
        let mut client = Client::connect(Path::new(socket))
            .await
            .with_context(|| format!("could not connect to {socket}"))?;
        let response = tokio::time::timeout(TIMEOUT, request(&mut client)).await;
        match response.with_context(|| format!("{socket} did not respond within {TIMEOUT:?}"))? {
            Ok(response) => Ok(Ok(response)),
            Err(CriError::Status(status)) => Ok(Err(status.message().to_owned())),
            Err(error) => Err(error).with_context(|| format!("could not call {socket}")),
        }
    })
}
