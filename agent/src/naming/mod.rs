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

use tokio::sync::{Notify, mpsc};

use crate::{
    container::known::{Answer, Question},
    privileges,
};

/// Questions, and answers, that wait to be taken at a time.
const MAX_WAITING: usize = 256;

/// Bytes of the thread's stack, which count as locked memory once they are used.
const STACK: usize = 512 << 10;

/// Asks a thread of its own.
pub struct Resolver {
    questions: mpsc::Sender<Question>,
    answers: blocking::Receiver<Answer>,
    bell: Arc<Notify>,
    dropped: Cell<bool>,
}

impl Resolver {
    /// Starts the thread, for the machine whose root directory this is.
    pub fn start(root: &Path) -> io::Result<Self> {
        let (questions, asked) = mpsc::channel(MAX_WAITING);
        let (answer, answers) = blocking::sync_channel(MAX_WAITING);
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
                Ok(runtime) => runtime.block_on(serve::Server::new(root, answer, ring).run(asked)),
                Err(error) => log::warn!("no container's name is told: no event loop: {error}"),
            }
        };
        thread::Builder::new().name("names".to_owned()).stack_size(STACK).spawn(work)?;
        // Nothing is ever sent: it ends when the thread has no other right any more.
        let _ = is_prepared.recv();
        Ok(Self { questions, answers, bell, dropped: Cell::new(false) })
    }

    /// Asks. If too many wait already, nobody will answer.
    pub fn ask(&self, question: Question) {
        if self.questions.try_send(question).is_err() && !self.dropped.replace(true) {
            log::warn!(
                "more names are asked for than can be looked up: those of some containers are not told"
            );
        }
    }

    /// Takes an answer that has come.
    pub fn try_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    /// Waits for an answer, until then at most.
    pub fn wait(&self, until: Instant) -> Option<Answer> {
        let left = until.saturating_duration_since(Instant::now());
        self.answers.recv_timeout(left).ok()
    }

    /// Returns when an answer may have come.
    pub async fn arrived(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests;
