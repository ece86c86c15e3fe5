//! Names of containers and pods, read from the kubelet's and the runtime's files and from the
//! runtime's CRI API. A separate thread does it, so that no report waits for slow files or sockets.
mod cri;
mod docker;
mod files;
mod pod_logs;
mod runtime_log;
mod runtime_state;
mod spec;
mod worker;

use std::{
    cell::Cell,
    io,
    path::Path,
    sync::{Arc, mpsc as blocking},
    thread,
    time::Instant,
};

use fragwatch_core::model::identity::{Query, Reply};
use tokio::sync::{Notify, mpsc};

use crate::{host::privileges, lookup::worker::Worker};

/// Capacity of each of the two channels: queries, and replies.
const MAX_WAITING: usize = 256;

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 512 << 10;

/// The handle to the lookup thread.
pub struct Lookup {
    queries: mpsc::Sender<Query>,
    replies: blocking::Receiver<Reply>,
    arrival: Arc<Notify>,
    /// A query was dropped, and a warning was logged.
    dropped: Cell<bool>,
}

impl Lookup {
    /// Starts the thread for the machine whose root directory is `root`. Returns when the thread has
    /// given up the capabilities that it does not need.
    ///
    /// # Errors
    /// If the thread could not be started.
    pub fn start(root: &Path) -> io::Result<Self> {
        let (queries, query_receiver) = mpsc::channel(MAX_WAITING);
        let (reply_sender, replies) = blocking::sync_channel(MAX_WAITING);
        let arrival = Arc::new(Notify::new());
        let (root, notify) = (root.to_owned(), Arc::clone(&arrival));
        let (prepared, is_prepared) = blocking::sync_channel::<()>(0);
        let work = move || {
            if let Err(error) = privileges::drop_all_but_reading() {
                log::warn!("the lookup thread could not give up capabilities: {error}");
            }
            drop(prepared);
            // Built in this thread, because a tokio runtime must not be dropped inside another one.
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let worker = Worker::new(root, reply_sender, notify);
                    runtime.block_on(worker.run(query_receiver));
                }
                Err(error) => {
                    log::warn!("names of containers are not available: no event loop: {error}");
                }
            }
        };
        thread::Builder::new().name("lookup".to_owned()).stack_size(STACK).spawn(work)?;
        // Nothing is sent; this returns when the thread drops its end.
        let _ = is_prepared.recv();
        Ok(Self { queries, replies, arrival, dropped: Cell::new(false) })
    }

    /// Sends a query. It is dropped, with one warning, if too many are waiting.
    pub fn query(&self, query: Query) {
        if self.queries.try_send(query).is_err() && !self.dropped.replace(true) {
            log::warn!(
                "too many lookups of container names are waiting: some containers stay unnamed"
            );
        }
    }

    /// The next reply, if one has arrived.
    pub fn try_reply(&self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }

    /// Blocks until a reply arrives; `None` after `deadline`.
    pub fn wait_for_reply(&self, deadline: Instant) -> Option<Reply> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.replies.recv_timeout(left).ok()
    }

    /// Resolves when a reply may have arrived.
    pub async fn replied(&self) {
        self.arrival.notified().await;
    }
}

#[cfg(test)]
mod tests;
