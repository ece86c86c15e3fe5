//! A runtime's CRI socket that replies, or does not.
use std::{path::Path, thread};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Response};
use prost::Message as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
    sync::oneshot,
};

use crate::lookup::{
    cri::{Container, Containers, ListRequest, PodSandbox, PodSandboxMetadata, PodSandboxes},
    tests::{ID, UID},
};

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers as it should, about the one pod and container that it has.
    Answers,
    /// Answers about another than was asked for.
    Lies,
    /// Speaks gRPC, and knows no such method.
    HasNoCri,
    /// Takes the connection, and says nothing.
    Hangs,
    /// Closes the connection.
    Dies,
    /// Says what is no HTTP.
    Garbage,
}

/// It is gone when this is dropped.
pub(super) struct FakeRuntime(Option<oneshot::Sender<()>>);

impl FakeRuntime {
    pub(super) fn start(root: &Path, behaviour: Behaviour) -> Self {
        Self::start_at(root, "run/containerd/containerd.sock", behaviour)
    }

    pub(super) fn start_at(root: &Path, socket: &str, behaviour: Behaviour) -> Self {
        let socket = root.join(socket);
        std::fs::create_dir_all(socket.parent().expect("it is in one")).expect("it can be made");
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("an event loop");
        let listener = runtime.block_on(async { UnixListener::bind(&socket) }).expect("a socket");
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(&listener, behaviour) => {}
                    _ = ended => {}
                }
            });
        });
        Self(Some(end))
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
            Behaviour::Answers | Behaviour::Lies | Behaviour::HasNoCri => {
                tokio::spawn(answer_all(stream, behaviour));
            }
            Behaviour::Hangs => kept.push(stream),
            Behaviour::Dies => drop(stream),
            Behaviour::Garbage => drop(stream.write_all(b"\x00\xff220 hello\r\n\r\n").await),
        }
    }
}

async fn answer_all(stream: UnixStream, behaviour: Behaviour) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            let mut body = request.into_body();
            let mut asked = BytesMut::new();
            while let Some(Ok(part)) = body.data().await {
                asked.extend_from_slice(&part);
            }
            // A byte that says whether it is compressed, and four for the length.
            let asked = ListRequest::decode(&asked[5..]).expect("a request of ours");
            let message = reply(&path, &asked, behaviour == Behaviour::Lies);
            let head = Response::builder().header("content-type", "application/grpc");
            let head = head.body(()).expect("a response");
            let mut stream = respond.send_response(head, false).expect("it can be answered");
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(u32::try_from(message.len()).expect("a short reply"));
            framed.extend_from_slice(&message);
            if behaviour == Behaviour::HasNoCri {
                framed.clear();
            }
            stream.send_data(framed.freeze(), false).expect("it can be answered");
            let mut end = HeaderMap::new();
            // OK, or UNIMPLEMENTED.
            let status = if behaviour == Behaviour::HasNoCri { "12" } else { "0" };
            end.insert("grpc-status", status.parse().expect("a header"));
            stream.send_trailers(end).expect("it can be answered");
        });
    }
}

fn reply(path: &str, asked: &ListRequest, lies: bool) -> Bytes {
    let filter = asked.filter.clone().unwrap_or_default();
    let uid = filter.label_selector.get("io.kubernetes.pod.uid");
    let message = match path {
        "/runtime.v1.RuntimeService/ListPodSandbox" => {
            let uid_of_it = if lies { "0bad0bad-0000-0000-0000-000000000000" } else { UID };
            let metadata = PodSandboxMetadata {
                name: "web-0".to_owned(),
                uid: uid_of_it.to_owned(),
                namespace: "shop".to_owned(),
            };
            let sandbox = PodSandbox { id: "5a".repeat(32), metadata: Some(metadata) };
            let is_it = lies || uid.is_some_and(|uid| uid == UID);
            PodSandboxes { items: is_it.then_some(sandbox).into_iter().collect() }.encode_to_vec()
        }
        "/runtime.v1.RuntimeService/ListContainers" => {
            let labels = [
                ("io.kubernetes.pod.name", "web-0"),
                ("io.kubernetes.pod.namespace", "shop"),
                ("io.kubernetes.container.name", "nginx"),
            ];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let id = if lies { "0".repeat(64) } else { ID.to_owned() };
            let container = Container { id, labels: labels.into() };
            let is_it = lies || filter.id == ID;
            Containers { containers: is_it.then_some(container).into_iter().collect() }
                .encode_to_vec()
        }
        other => panic!("nobody asks for {other}"),
    };
    message.into()
}
