//! The thread that reads the node's facts: in a shortage of memory, or where the kernel holds a
//! lock, reading a file of the kernel's may take as long as it likes, and no report waits for that.
use std::{
    io,
    path::Path,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::Duration,
};

use fragwatch_core::model::node::NodeFacts;

use crate::host::{node::cache::Reads, privileges};

/// How long a report waits.
const PATIENCE: Duration = Duration::from_millis(30);

/// Bytes of its stack, which count as locked memory once they are used.
const STACK: usize = 256 << 10;

/// Asks a thread of its own for the facts.
pub struct ReadingThread {
    requests: SyncSender<()>,
    replies: Receiver<NodeFacts>,
}

impl ReadingThread {
    /// Starts it.
    pub fn start() -> io::Result<Self> {
        let (requests, wanted) = mpsc::sync_channel(1);
        let (reply, replies) = mpsc::channel();
        let work = move || {
            if let Err(error) = privileges::give_back_all() {
                log::warn!("the thread that reads the node's facts kept capabilities: {error}");
            }
            // Once now, for nobody: what it takes is there then when memory is short.
            super::read(Path::new("/"));
            while let Ok(()) = wanted.recv() {
                if reply.send(super::read(Path::new("/"))).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("node".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(Self { requests, replies })
    }
}

impl Reads for ReadingThread {
    fn read(&mut self) -> Option<NodeFacts> {
        // Full: it is still at an earlier one, and this one is not needed.
        let _ = self.requests.try_send(());
        let facts = self.replies.recv_timeout(PATIENCE).ok();
        if facts.is_none() {
            log::debug!("the node's facts could not be read within {PATIENCE:?}: told without");
        }
        facts
    }

    fn late(&mut self) -> Option<NodeFacts> {
        self.replies.try_iter().last()
    }
}
