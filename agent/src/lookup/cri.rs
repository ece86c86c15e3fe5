//! Names from the runtime's CRI API.
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use fragwatch_core::model::identity::{Identity, NamedBy, Query};
use fragwatch_cri::{
    Client, CriError,
    messages::{
        ContainerFilter, ListContainersRequest, ListContainersResponse, ListPodSandboxRequest,
        ListPodSandboxResponse, PodSandboxFilter,
    },
};

use crate::lookup::{files, spec};

/// Sockets of runtimes, and the runtime's name. All that exist are queried in this order, because
/// Docker's containerd has a socket but no CRI.
const SOCKETS: [(&str, &str); 4] = [
    ("run/containerd/containerd.sock", "containerd"),
    ("run/crio/crio.sock", "cri-o"),
    ("var/run/crio/crio.sock", "cri-o"),
    ("run/cri-dockerd.sock", "docker"),
];
/// Limit for connecting to one socket and all calls of one query.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The label that holds a pod's uid.
const UID: &str = "io.kubernetes.pod.uid";

/// Why the API gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CriLookupError {
    /// The runtime was too slow.
    #[error("it did not reply within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CriError),
    /// The response does not match the request's filter.
    #[error("it answered about another container than the one asked for")]
    Mismatch,
}

/// The runtimes' sockets that exist below `root`.
pub(super) fn sockets(root: &Path) -> Vec<(PathBuf, &'static str)> {
    let at = |&(path, runtime): &(&str, &'static str)| (root.join(path), runtime);
    SOCKETS.iter().map(at).filter(|(path, _)| path.exists()).collect()
}

/// Queries the sockets in turn until one knows the container or pod. `Ok` and empty if none does.
pub(super) async fn query(
    sockets: Vec<(PathBuf, &'static str)>,
    query: &Query,
) -> Result<Vec<Identity>, CriLookupError> {
    for (socket, runtime) in sockets {
        let response = tokio::time::timeout(TIMEOUT, query_socket(&socket, query));
        if let Some(found) = response.await.map_err(|_| CriLookupError::Timeout)?? {
            return Ok(vec![Identity { runtime: Some(runtime.to_owned()), ..found }]);
        }
    }
    Ok(Vec::new())
}

async fn query_socket(socket: &Path, query: &Query) -> Result<Option<Identity>, CriLookupError> {
    let mut client = Client::connect(socket).await?;
    match query {
        Query::Container { id, .. } => match container(&mut client, id).await? {
            // The id may be that of a pod's sandbox, which is not listed as a container.
            None => {
                let filter = PodSandboxFilter { id: id.clone(), ..PodSandboxFilter::default() };
                sandbox(&mut client, filter).await
            }
            found => Ok(found),
        },
        Query::Pod { uid } => {
            let label_selector = HashMap::from([(UID.to_owned(), uid.clone())]);
            let filter = PodSandboxFilter { label_selector, ..PodSandboxFilter::default() };
            sandbox(&mut client, filter).await
        }
        Query::Netns { .. } | Query::Starting { .. } => Ok(None),
    }
}

async fn container(client: &mut Client, id: &str) -> Result<Option<Identity>, CriLookupError> {
    let filter = Some(ContainerFilter { id: id.to_owned() });
    let response = client.list_containers(ListContainersRequest { filter }).await;
    let response: ListContainersResponse = empty_if_unimplemented(response)?;
    let Some(found) = response.containers.into_iter().next() else { return Ok(None) };
    if found.id != id {
        return Err(CriLookupError::Mismatch);
    }
    let mut identity = Identity { id: Some(found.id), ..Identity::by(NamedBy::Cri) };
    spec::apply_annotations(&mut identity, &found.labels);
    Ok(Some(identity))
}

async fn sandbox(
    client: &mut Client,
    filter: PodSandboxFilter,
) -> Result<Option<Identity>, CriLookupError> {
    let request = ListPodSandboxRequest { filter: Some(filter.clone()) };
    let response = client.list_pod_sandbox(request).await;
    let response: ListPodSandboxResponse = empty_if_unimplemented(response)?;
    let Some(found) = response.items.into_iter().next() else { return Ok(None) };
    let pod = found.metadata.unwrap_or_default();
    let uid = filter.label_selector.get(UID);
    if !filter.id.is_empty() && found.id != filter.id || uid.is_some_and(|uid| *uid != pod.uid) {
        return Err(CriLookupError::Mismatch);
    }
    Ok(Some(Identity {
        // A pod may have had several sandboxes, so a query by uid does not determine one.
        id: Some(found.id).filter(|_| !filter.id.is_empty()),
        pod_uid: files::name(&pod.uid),
        pod: files::name(&pod.name),
        namespace: files::name(&pod.namespace),
        ..Identity::by(NamedBy::Cri)
    }))
}

/// A runtime without a CRI knows no container.
fn empty_if_unimplemented<A: Default>(response: Result<A, CriError>) -> Result<A, CriError> {
    response.or_else(|error| if error.is_unimplemented() { Ok(A::default()) } else { Err(error) })
}
