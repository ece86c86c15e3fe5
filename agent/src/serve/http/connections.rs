//! The open connections. There is a fixed number of them.
use std::{cell::Cell, cell::RefCell, collections::VecDeque, rc::Rc};

use tokio::task::{AbortHandle, spawn_local};

/// Connections that are open at once. The oldest is closed for one more: a good client is served at once,
/// so the oldest is a slow one.
pub(super) const MAX: usize = 64;

/// Of these, streams of `/events`. Among them, too, the oldest is closed for one more.
pub(super) const MAX_STREAMS: usize = 16;

/// All open connections, the oldest first.
#[derive(Default)]
pub(super) struct Connections(Rc<RefCell<VecDeque<Connection>>>);

struct Connection {
    task: AbortHandle,
    is_stream: Rc<Cell<bool>>,
}

/// A connection's own place among them.
#[derive(Clone)]
pub(super) struct Slot {
    all: Rc<RefCell<VecDeque<Connection>>>,
    is_stream: Rc<Cell<bool>>,
}

impl Connections {
    /// Runs a connection, and closes the oldest if there are too many.
    pub(super) fn spawn<F: Future<Output = ()> + 'static>(&self, run: impl FnOnce(Slot) -> F) {
        let is_stream = Rc::new(Cell::new(false));
        let slot = Slot { all: Rc::clone(&self.0), is_stream: Rc::clone(&is_stream) };
        let task = spawn_local(run(slot)).abort_handle();
        let mut all = self.0.borrow_mut();
        all.retain(|connection| !connection.task.is_finished());
        if all.len() >= MAX {
            // Streams are meant to be old, and have a limit of their own.
            close_oldest(&mut all, |connection| !connection.is_stream.get());
        }
        all.push_back(Connection { task, is_stream });
    }
}

impl Slot {
    /// Turns the connection into a stream.
    pub(super) fn begin_stream(&self) {
        let mut all = self.all.borrow_mut();
        all.retain(|connection| !connection.task.is_finished());
        if all.iter().filter(|connection| connection.is_stream.get()).count() >= MAX_STREAMS {
            close_oldest(&mut all, |connection| connection.is_stream.get());
        }
        self.is_stream.set(true);
    }

    pub(super) fn is_stream(&self) -> bool {
        self.is_stream.get()
    }
}

fn close_oldest(all: &mut VecDeque<Connection>, which: impl Fn(&Connection) -> bool) {
    let oldest = all.iter().position(which).and_then(|at| all.remove(at));
    if let Some(oldest) = oldest {
        oldest.task.abort();
    }
}
