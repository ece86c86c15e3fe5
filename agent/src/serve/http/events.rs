//! `/events`: each line of the report as a server-sent event.
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::spawn_local,
    time::interval,
};

use crate::serve::shared::Shared;

/// A comment is sent in this time, so that a client that has gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The body of the response.
pub(super) type Events = Channel<Bytes>;

/// All events from now on.
pub(super) fn stream(shared: &Shared) -> Events {
    // Nothing waits for the client here but what it is being sent: the rest waits once for all clients.
    let (sender, body) = Channel::new(1);
    spawn_local(forward(shared.events.subscribe(), sender));
    body
}

async fn forward(mut events: Receiver<Bytes>, mut client: Sender<Bytes>) {
    let mut keep_alive = interval(KEEP_ALIVE);
    loop {
        let text = tokio::select! {
            event = events.recv() => match event {
                Ok(json) => Bytes::from([b"data: ", &*json, b"\n\n"].concat()),
                Err(RecvError::Lagged(missed)) => {
                    Bytes::from(format!("event: missed\ndata: {missed}\n\n"))
                }
                Err(RecvError::Closed) => return,
            },
            _ = keep_alive.tick() => Bytes::from_static(b": fragwatch\n\n"),
        };
        if client.send_data(text).await.is_err() {
            return;
        }
    }
}
