//! The runtime's CRI API (k8s.io/cri-api, runtime.v1): gRPC over a unix socket. The messages have only
//! the fields that names stand in.
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use fragwatch_core::model::identity::{Identity, NamedBy, Query};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::{
    Code, Request,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::spec;

/// Sockets of the runtimes, and what they are. Those that are there are asked one after the other: Docker's
/// containerd has no CRI.
const SOCKETS: [(&str, &str); 4] = [
    ("run/containerd/containerd.sock", "containerd"),
    ("run/crio/crio.sock", "cri-o"),
    ("var/run/crio/crio.sock", "cri-o"),
    ("run/cri-dockerd.sock", "docker"),
];
/// For a query to one of them.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of an reply that are taken.
const MAX_ANSWER: usize = 1 << 20;

const UID: &str = "io.kubernetes.pod.uid";

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum CriError {
    /// It takes too long.
    #[error("it did not reply within {} s", TIMEOUT.as_secs())]
    Late,
    /// Nobody is there, or it is no CRI.
    #[error("{0}")]
    Transport(String),
    /// It answered what was not asked.
    #[error("it answered about another container than the one asked for")]
    Another,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) filter: Option<Filter>,
}

/// A `PodSandboxFilter`, and a `ContainerFilter`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Filter {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    /// Of pods.
    #[prost(map = "string, string", tag = "3")]
    pub(super) label_selector: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxes {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<PodSandbox>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandbox {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<PodSandboxMetadata>,
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
pub(super) struct Containers {
    #[prost(message, repeated, tag = "1")]
    pub(super) containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Container {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(map = "string, string", tag = "8")]
    pub(super) labels: HashMap<String, String>,
}

/// Sockets of runtimes that are there.
pub(super) fn sockets(root: &Path) -> Vec<(PathBuf, &'static str)> {
    let at = |&(path, runtime): &(&str, &'static str)| (root.join(path), runtime);
    SOCKETS.iter().map(at).filter(|(path, _)| path.exists()).collect()
}

/// Asks them, until one knows. Nothing is known of what is not there.
pub(super) async fn ask(
    sockets: Vec<(PathBuf, &'static str)>,
    query: &Query,
) -> Result<Vec<Identity>, CriError> {
    for (socket, runtime) in sockets {
        let asked = ask_one(&socket, query);
        let known = tokio::time::timeout(TIMEOUT, asked).await.map_err(|_| CriError::Late)??;
        if let Some(known) = known {
            return Ok(vec![Identity { runtime: Some(runtime.to_owned()), ..known }]);
        }
    }
    Ok(Vec::new())
}

async fn ask_one(socket: &Path, query: &Query) -> Result<Option<Identity>, CriError> {
    let endpoint = Endpoint::try_from(format!("unix://{}", socket.display()))
        .map_err(|error| CriError::Transport(error.to_string()))?;
    let channel = endpoint.connect().await.map_err(|error| transport(&error))?;
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER);
    match query {
        Query::Container { id, .. } => match container(&mut grpc, id).await? {
            None => sandbox(&mut grpc, Filter { id: id.clone(), ..Filter::default() }).await,
            found => Ok(found),
        },
        Query::Pod { uid } => {
            let label_selector = HashMap::from([(UID.to_owned(), uid.clone())]);
            sandbox(&mut grpc, Filter { label_selector, ..Filter::default() }).await
        }
        Query::Netns { .. } | Query::Starting { .. } => Ok(None),
    }
}

async fn container(grpc: &mut Grpc<Channel>, id: &str) -> Result<Option<Identity>, CriError> {
    let filter = Some(Filter { id: id.to_owned(), ..Filter::default() });
    let reply: Containers = call(grpc, "ListContainers", ListRequest { filter }).await?;
    let Some(found) = reply.containers.into_iter().next() else { return Ok(None) };
    if found.id != id {
        return Err(CriError::Another);
    }
    let mut known = Identity { id: Some(found.id), ..Identity::by(NamedBy::Cri) };
    spec::take_annotations(&mut known, &found.labels);
    Ok(Some(known))
}

async fn sandbox(grpc: &mut Grpc<Channel>, filter: Filter) -> Result<Option<Identity>, CriError> {
    let request = ListRequest { filter: Some(filter.clone()) };
    let reply: PodSandboxes = call(grpc, "ListPodSandbox", request).await?;
    let Some(found) = reply.items.into_iter().next() else { return Ok(None) };
    let told = found.metadata.unwrap_or_default();
    let uid = filter.label_selector.get(UID);
    if !filter.id.is_empty() && found.id != filter.id || uid.is_some_and(|uid| *uid != told.uid) {
        return Err(CriError::Another);
    }
    let name = |text: &str| crate::lookup::files::name(text);
    Ok(Some(Identity {
        // Of a pod there may be several sandboxes, one after the other.
        id: Some(found.id).filter(|_| !filter.id.is_empty()),
        pod_uid: name(&told.uid),
        pod: name(&told.name),
        namespace: name(&told.namespace),
        ..Identity::by(NamedBy::Cri)
    }))
}

async fn call<Q, A>(grpc: &mut Grpc<Channel>, method: &str, request: Q) -> Result<A, CriError>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let path = PathAndQuery::try_from(format!("/runtime.v1.RuntimeService/{method}"))
        .map_err(|error| CriError::Transport(error.to_string()))?;
    grpc.ready().await.map_err(|error| transport(&error))?;
    let reply = grpc.unary(Request::new(request), path, ProstCodec::default()).await;
    match reply {
        Ok(reply) => Ok(reply.into_inner()),
        // It is a runtime's, and has no CRI: it knows nothing.
        Err(status) if status.code() == Code::Unimplemented => Ok(A::default()),
        Err(status) => Err(CriError::Transport(format!("{}: {}", status.code(), status.message()))),
    }
}

/// The last of a chain of errors, which says what happened.
fn transport(error: &dyn std::error::Error) -> CriError {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    CriError::Transport(error.to_string())
}
