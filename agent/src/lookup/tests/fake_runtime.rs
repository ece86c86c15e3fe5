//! A fake runtime with a CRI socket that behaves well, or in one of several wrong ways.
use std::{path::Path, thread};

use bytes::{BufMut as _, Bytes, BytesMut};
use fragwatch_cri::messages::{
    Container, ListContainersRequest, ListContainersResponse, ListPodSandboxRequest,
    ListPodSandboxResponse, PodSandbox, PodSandboxMetadata,
};
use http::{HeaderMap, Response};
use prost::Message as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
    sync::oneshot,
};

use crate::lookup::tests::{ID, UID};

/// How the fake runtime handles connections and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Responds correctly, with the one pod and container that it has.
    Correct,
    /// Responds with another container than requested.
    WrongId,
    /// Speaks gRPC, but implements no CRI method.
    NoCri,
    /// Accepts the connection and sends nothing.
    Hangs,
    /// Closes the connection.
    Closes,
    /// Sends bytes that are not HTTP/2.
    Garbage,
}

/// The server stops when this is dropped.
pub(super) struct FakeRuntime(Option<oneshot::Sender<()>>);

impl FakeRuntime {
    pub(super) fn start(root: &Path, behaviour: Behaviour) -> Self {
        Self::start_at(root, "run/containerd/containerd.sock", behaviour)
    }

    pub(super) fn start_at(root: &Path, socket: &str, behaviour: Behaviour) -> Self {
        let socket = root.join(socket);
        std::fs::create_dir_all(socket.parent().expect("it is in one")).expect("it can be made");
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("an event loop");
        let listener = runtime.block_on(async { UnixListener::bind(&socket) }).expect("a socket");
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(&listener, behaviour) => {}
                    _ = stopped => {}
                }
            });
        });
        Self(Some(stop))
    }
}

impl Drop for FakeRuntime {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

async fn serve(listener: &UnixListener, behaviour: Behaviour) {
    let mut kept = Vec::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        match behaviour {
            Behaviour::Correct | Behaviour::WrongId | Behaviour::NoCri => {
                tokio::spawn(respond_to_all(stream, behaviour));
            }
            Behaviour::Hangs => kept.push(stream),
            Behaviour::Closes => drop(stream),
            Behaviour::Garbage => drop(stream.write_all(b"\x00\xff220 hello\r\n\r\n").await),
        }
    }
}

async fn respond_to_all(stream: UnixStream, behaviour: Behaviour) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            let mut body = request.into_body();
            let mut request = BytesMut::new();
            while let Some(Ok(part)) = body.data().await {
                request.extend_from_slice(&part);
            }
            // A gRPC message begins with a byte for compression and four for its length.
            let message = response(&path, &request[5..], behaviour == Behaviour::WrongId);
            let head = Response::builder().header("content-type", "application/grpc");
            let head = head.body(()).expect("a response");
            let mut stream = respond.send_response(head, false).expect("it can be answered");
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(u32::try_from(message.len()).expect("a short reply"));
            framed.extend_from_slice(&message);
            if behaviour == Behaviour::NoCri {
                framed.clear();
            }
            stream.send_data(framed.freeze(), false).expect("it can be answered");
            let mut end = HeaderMap::new();
            // OK, or UNIMPLEMENTED.
            let status = if behaviour == Behaviour::NoCri { "12" } else { "0" };
            end.insert("grpc-status", status.parse().expect("a header"));
            stream.send_trailers(end).expect("it can be answered");
        });
    }
}

fn response(path: &str, request: &[u8], wrong_id: bool) -> Bytes {
    let message = match path {
        "/runtime.v1.RuntimeService/ListPodSandbox" => {
            let request = ListPodSandboxRequest::decode(request).expect("a valid request");
            let labels = request.filter.unwrap_or_default().label_selector;
            let matches = labels.get("io.kubernetes.pod.uid").is_some_and(|uid| uid == UID);
            let uid = if wrong_id { "0bad0bad-0000-0000-0000-000000000000" } else { UID };
            let metadata = PodSandboxMetadata {
                name: "web-0".to_owned(),
                uid: uid.to_owned(),
                namespace: "shop".to_owned(),
            };
            let sandbox = PodSandbox { id: "5a".repeat(32), metadata: Some(metadata) };
            let items = (wrong_id || matches).then_some(sandbox).into_iter().collect();
            ListPodSandboxResponse { items }.encode_to_vec()
        }
        "/runtime.v1.RuntimeService/ListContainers" => {
            let request = ListContainersRequest::decode(request).expect("a valid request");
            let matches = request.filter.unwrap_or_default().id == ID;
            let labels = [
                ("io.kubernetes.pod.name", "web-0"),
                ("io.kubernetes.pod.namespace", "shop"),
                ("io.kubernetes.container.name", "nginx"),
            ];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let id = if wrong_id { "0".repeat(64) } else { ID.to_owned() };
            let container = Container { id, labels: labels.into() };
            let containers = (wrong_id || matches).then_some(container).into_iter().collect();
            ListContainersResponse { containers }.encode_to_vec()
        }
        other => panic!("the lookup does not call {other}"),
    };
    message.into()
}
