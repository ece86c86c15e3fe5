//! The samples of the last minutes, the oldest overwritten by the newest.
use fragwatch_core::model::sample::Sample;

use crate::packed::Packed;

/// A ring of samples, allocated once and touched at once, so that it can be locked in memory.
#[derive(Debug)]
pub struct Ring {
    slots: Box<[Packed]>,
    /// The slot of the next sample.
    next: usize,
    filled: usize,
}

impl Ring {
    /// A ring for that many samples, at least one.
    pub fn new(capacity: usize) -> Self {
        // Not `vec![Packed::default(); n]`, which may map zero pages that are first touched later.
        let slots = (0..capacity.max(1)).map(|_| std::hint::black_box(Packed::default())).collect();
        Self { slots, next: 0, filled: 0 }
    }

    /// Adds a sample.
    pub fn push(&mut self, sample: &Sample) {
        self.slots[self.next] = sample.into();
        self.next = (self.next + 1) % self.slots.len();
        self.filled = (self.filled + 1).min(self.slots.len());
    }

    /// The samples, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Sample> + '_ {
        let (newer, older) = self.slots.split_at(self.next);
        let older = &older[..self.filled - self.filled.min(newer.len())];
        older.iter().chain(&newer[..self.filled.min(newer.len())]).map(Sample::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_samples_are_kept_in_order() {
        let mut ring = Ring::new(3);
        let times = |ring: &Ring| ring.iter().map(|sample| sample.time_ns).collect::<Vec<_>>();
        assert!(times(&ring).is_empty());
        for time_ns in 1..=7 {
            ring.push(&Sample { time_ns, ..Sample::default() });
            let expected: Vec<u64> = (time_ns.saturating_sub(2).max(1)..=time_ns).collect();
            assert_eq!(times(&ring), expected);
        }
    }
}
