//! A thread that reads the node's facts. Reading a file under /proc may block for long when memory is
//! short or the kernel holds a lock; reports must not wait for that.
use std::{
    io,
    path::Path,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::Duration,
};

use fragwatch_core::model::node::NodeFacts;

use crate::host::{node::cache::ReadFacts, privileges};

/// How long a report waits for the facts.
const TIMEOUT: Duration = Duration::from_millis(30);

/// Stack size of the thread in bytes. Used stack pages count as locked memory.
const STACK: usize = 256 << 10;

/// The handle to the thread.
pub struct ReadingThread {
    requests: SyncSender<()>,
    replies: Receiver<NodeFacts>,
}

impl ReadingThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the thread could not be started.
    pub fn start() -> io::Result<Self> {
        let (requests, request_receiver) = mpsc::sync_channel(1);
        let (reply, replies) = mpsc::channel();
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
            }
        };
        thread::Builder::new().name("node".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(Self { requests, replies })
    }
}

impl ReadFacts for ReadingThread {
    fn read(&mut self) -> Option<NodeFacts> {
        // If the channel is full, the thread is busy with an earlier request.
        let _ = self.requests.try_send(());
        let facts = self.replies.recv_timeout(TIMEOUT).ok();
        if facts.is_none() {
            log::debug!(
                "the node's facts could not be read within {TIMEOUT:?}: the report lacks them"
            );
        }
        facts
    }

    fn late(&mut self) -> Option<NodeFacts> {
        self.replies.try_iter().last()
    }
}
