//! Who a container is, asked of the kubelet's and the runtime's files and of the runtime's API, by a
//! thread of its own: nothing of it may hold a report up.
mod cri;
mod docker;
mod files;
mod pod_logs;
mod serve;
mod spec;
mod starting;
mod state;

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

use crate::host::privileges;

/// Questions, and replies, that wait to be taken at a time.
const MAX_WAITING: usize = 256;

/// Bytes of the thread's stack, which count as locked memory once they are used.
const STACK: usize = 512 << 10;

/// Asks a thread of its own.
pub struct Lookup {
    queries: mpsc::Sender<Query>,
    replies: blocking::Receiver<Reply>,
    bell: Arc<Notify>,
    dropped: Cell<bool>,
}

impl Lookup {
    /// Starts the thread, for the machine whose root directory this is.
    pub fn start(root: &Path) -> io::Result<Self> {
        let (queries, asked) = mpsc::channel(MAX_WAITING);
        let (reply, replies) = blocking::sync_channel(MAX_WAITING);
        let bell = Arc::new(Notify::new());
        let (root, ring) = (root.to_owned(), Arc::clone(&bell));
        let (prepared, is_prepared) = blocking::sync_channel::<()>(0);
        let work = move || {
            if let Err(error) = privileges::keep_reading() {
                log::warn!("the thread that looks for names kept capabilities: {error}");
            }
            drop(prepared);
            // In here: one that is dropped where another runs panics.
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(serve::Server::new(root, reply, ring).run(asked)),
                Err(error) => log::warn!("no container's name is told: no event loop: {error}"),
            }
        };
        thread::Builder::new().name("names".to_owned()).stack_size(STACK).spawn(work)?;
        // Nothing is ever sent: it ends when the thread has no other right any more.
        let _ = is_prepared.recv();
        Ok(Self { queries, replies, bell, dropped: Cell::new(false) })
    }

    /// Asks. If too many wait already, nobody will reply.
    pub fn ask(&self, query: Query) {
        if self.queries.try_send(query).is_err() && !self.dropped.replace(true) {
            log::warn!(
                "more names are asked for than can be looked up: those of some containers are not told"
            );
        }
    }

    /// Takes a reply that has come.
    pub fn try_answer(&self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }

    /// Waits for a reply, until then at most.
    pub fn wait(&self, until: Instant) -> Option<Reply> {
        let left = until.saturating_duration_since(Instant::now());
        self.replies.recv_timeout(left).ok()
    }

    /// Returns when a reply may have come.
    pub async fn arrived(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests;
