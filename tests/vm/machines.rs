//! How many machines run at once, and in which order.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Places for machines.
pub(crate) struct Machines {
    places: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    /// By turn.
    waiting: BTreeSet<usize>,
}

impl Machines {
    /// So many machines may run at once.
    pub(crate) fn new(places: usize) -> Self {
        Self { places, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Runs a machine as soon as there is a place for it. Of those that wait, the one with the lowest
    /// turn goes first; no two may have the same.
    pub(crate) fn run<T>(&self, turn: usize, machine: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        state.waiting.insert(turn);
        let mut state = self
            .changed
            .wait_while(state, |state| {
                state.running == self.places || state.waiting.first() != Some(&turn)
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting.remove(&turn);
        state.running += 1;
        drop(state);
        // There may be a second place.
        self.changed.notify_all();
        let result = machine();
        self.lock().running -= 1;
        self.changed.notify_all();
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
