//! HTTP, on a thread and a runtime of its own. A client that is slow, silent or hostile costs the others
//! nothing: there is a fixed number of connections, the oldest is closed for a new one, and each has its
//! time and its buffers limited.
mod answer;
mod connections;
mod events;
mod listen;
mod page;
mod status;

use std::{convert::Infallible, io, rc::Rc, sync::Arc, thread, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    runtime,
    signal::unix::{SignalKind, signal},
    task::LocalSet,
    time::{sleep, timeout},
};

pub(super) use self::listen::Listeners;
use self::{
    answer::{Answer, Body},
    connections::{Connections, Slot},
};
use super::{notify, shared::Shared};
use crate::host::{SERVE_SOCKET, privileges};

/// A request's headers have to arrive within this time.
const HEADERS: Duration = Duration::from_secs(2);

/// A whole connection may take this time, unless it is one of `/events`.
const CONNECTION: Duration = Duration::from_secs(10);

/// Bytes of a request's headers, and of a response that wait to be sent.
const BUFFER: usize = 16 << 10;

/// A request's headers.
const MAX_HEADERS: usize = 64;

/// After a failure to accept, such as too many open files, in which the listener stays ready.
const PAUSE: Duration = Duration::from_millis(100);

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 512 << 10;

/// Starts the thread. It runs until the process ends.
pub(super) fn start(listeners: Listeners, shared: Arc<Shared>) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        if let Err(error) = privileges::drop_all() {
            log::warn!("the HTTP thread could not give up its capabilities: {error}");
        }
        LocalSet::new().block_on(&runtime, serve(listeners, shared));
    };
    thread::Builder::new().name("http".to_owned()).stack_size(STACK).spawn(work).map(drop)
}

async fn serve(listeners: Listeners, shared: Arc<Shared>) {
    let connections = Rc::new(Connections::default());
    for listener in listeners.tcp {
        let (shared, connections) = (Arc::clone(&shared), Rc::clone(&connections));
        tokio::task::spawn_local(async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => {
                    let accept = async || listener.accept().await.map(|(stream, _)| stream);
                    accept_all(accept, &shared, &connections).await;
                }
                Err(error) => log::error!("could not serve HTTP: {error}"),
            }
        });
    }
    if let Some(listener) = listeners.unix {
        let (shared, connections) = (Arc::clone(&shared), Rc::clone(&connections));
        tokio::task::spawn_local(async move {
            match UnixListener::from_std(listener) {
                Ok(listener) => {
                    let accept = async || listener.accept().await.map(|(stream, _)| stream);
                    accept_all(accept, &shared, &connections).await;
                }
                Err(error) => log::error!("could not serve {SERVE_SOCKET}: {error}"),
            }
        });
    }
    tokio::join!(request_recordings(&shared), notify::keep_alive(&shared));
}

/// SIGUSR1 asks for a recording.
async fn request_recordings(shared: &Shared) {
    match signal(SignalKind::user_defined1()) {
        Ok(mut signals) => {
            while signals.recv().await.is_some() {
                shared.request_recording();
            }
        }
        Err(error) => log::warn!("could not wait for SIGUSR1: {error}"),
    }
}

async fn accept_all<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    accept: impl AsyncFn() -> io::Result<S>,
    shared: &Arc<Shared>,
    connections: &Rc<Connections>,
) {
    loop {
        match accept().await {
            Ok(stream) => {
                let shared = Arc::clone(shared);
                connections.spawn(|slot| connection(stream, shared, slot));
                // However many wait to be accepted, this one is read first.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                log::debug!("could not accept a connection: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(stream: S, shared: Arc<Shared>, slot: Slot) {
    let answer = Answer::new(shared, slot.clone());
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<hyper::Response<Body>, Infallible>(answer.to(&request))
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_headers(MAX_HEADERS)
        .max_buf_size(BUFFER)
        .keep_alive(false);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // A client that goes away, or sends something else, is nothing to report.
    let _ = match timeout(CONNECTION, connection.as_mut()).await {
        Ok(result) => result,
        Err(_) if slot.is_stream() => connection.await,
        Err(_) => Ok(()),
    };
}

#[cfg(test)]
mod tests;
