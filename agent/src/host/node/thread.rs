//! A thread that reads the node's facts. Reading a file under /proc may block for long when memory is
//! short or the kernel holds a lock; reports must not wait for that.
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use fragwatch_core::model::node::NodeFacts;
use tokio::sync::Notify;

use crate::host::{node::facts_source::ReadFacts, privileges};

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 256 << 10;

/// The handle to the thread.
pub struct ReadingThread {
    requests: SyncSender<()>,
    replies: Receiver<NodeFacts>,
    arrival: Arc<Notify>,
}

impl ReadingThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the thread could not be started.
    pub fn start() -> io::Result<Self> {
        let (requests, request_receiver) = mpsc::sync_channel(1);
        let (reply, replies) = mpsc::channel();
        let arrival = Arc::new(Notify::new());
        let notify = Arc::clone(&arrival);
        let work = move || {
            if let Err(error) = privileges::drop_all() {
                log::warn!(
                    "the thread that reads the node's facts could not give up capabilities: {error}"
                );
            }
            // A first read brings code and buffers into memory before memory is short.
            super::read(Path::new("/"));
            while let Ok(()) = request_receiver.recv() {
                if reply.send(super::read(Path::new("/"))).is_err() {
                    return;
                }
                notify.notify_one();
            }
        };
        thread::Builder::new().name("node".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(Self { requests, replies, arrival })
    }

    /// Resolves when facts may have arrived.
    pub(super) async fn arrived(&self) {
        self.arrival.notified().await;
    }
}

impl ReadFacts for ReadingThread {
    fn request(&mut self) {
        // If the channel is full, the thread is busy with an earlier request.
        let _ = self.requests.try_send(());
    }

    fn take(&mut self) -> Option<NodeFacts> {
        self.replies.try_iter().last()
    }
}
