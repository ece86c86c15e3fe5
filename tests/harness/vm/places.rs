//! How many machines run at once, and in which order.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Places for machines.
pub struct Places {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: usize,
    /// By turn.
    waiting: BTreeSet<usize>,
}

impl Places {
    /// So many machines may run at once.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { limit: places, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Runs a machine as soon as there is a place for it, or when no other one runs if it is to be
    /// alone. Of those that wait, the one with the lowest turn goes first; no two may have the same.
    pub fn run<T>(&self, turn: usize, alone: bool, machine: impl FnOnce() -> T) -> T {
        let places = if alone { self.limit } else { 1 };
        let mut state = self.lock();
        state.waiting.insert(turn);
        let mut state = self
            .changed
            .wait_while(state, |state| {
                state.taken + places > self.limit || state.waiting.first() != Some(&turn)
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting.remove(&turn);
        state.taken += places;
        drop(state);
        // There may be another place.
        self.changed.notify_all();
        let _taken = Taken { of: self, places };
        machine()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives places back when it is dropped, after a panic too.
struct Taken<'a> {
    of: &'a Places,
    places: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.of.lock().taken -= self.places;
        self.of.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::Places;

    /// The most that were inside at once.
    fn most_at_once(places: usize, alone: bool) -> usize {
        let places = Places::new(places);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let machine = || {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(5));
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        thread::scope(|scope| {
            for turn in 0..8 {
                let (places, machine) = (&places, &machine);
                scope.spawn(move || places.run(turn, alone, machine));
            }
        });
        most.into_inner()
    }

    #[test]
    fn no_more_machines_run_than_there_are_places() {
        assert!(most_at_once(2, false) <= 2);
        assert_eq!(most_at_once(1, false), 1);
    }

    #[test]
    fn machine_that_is_to_be_alone_is() {
        assert_eq!(most_at_once(4, true), 1);
    }
}
