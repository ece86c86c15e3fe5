//! The samples of the last minutes, the oldest overwritten by the newest.
use fragwatch_core::model::sample::Sample;

use crate::packed::Packed;

/// A ring of samples, allocated once and touched at once, so that it can be locked in memory.
#[derive(Debug)]
pub struct Ring {
    slots: Box<[Slot]>,
    /// The slot of the next sample.
    next: usize,
    filled: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    sample: Packed,
    /// It is in the store.
    stored: bool,
}

impl Ring {
    /// A ring for that many samples, at least one.
    pub fn new(capacity: usize) -> Self {
        // Not `vec![Slot::default(); n]`, which may map zero pages that are first touched later.
        let slots = (0..capacity.max(1)).map(|_| std::hint::black_box(Slot::default())).collect();
        Self { slots, next: 0, filled: 0 }
    }

    /// Adds a sample, which is in the store or not.
    pub(crate) fn push(&mut self, sample: &Packed, stored: bool) {
        self.slots[self.next] = Slot { sample: *sample, stored };
        self.next = (self.next + 1) % self.slots.len();
        self.filled = (self.filled + 1).min(self.slots.len());
    }

    /// The samples, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Sample> + '_ {
        self.order().map(|at| Sample::from(&self.slots[at].sample))
    }

    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// One of the samples, counted from the oldest, if it is not in the store. From now on it counts as if it was.
    pub(crate) fn take_unstored(&mut self, from_oldest: usize) -> Option<Packed> {
        if from_oldest >= self.filled {
            return None;
        }
        let at = (self.first() + from_oldest) % self.slots.len();
        let slot = &mut self.slots[at];
        (!std::mem::replace(&mut slot.stored, true)).then_some(slot.sample)
    }

    /// The slots that are filled, the oldest first.
    fn order(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let (capacity, first) = (self.slots.len(), self.first());
        (0..self.filled).map(move |at| (first + at) % capacity)
    }

    /// The slot of the oldest sample, to be taken modulo the capacity.
    fn first(&self) -> usize {
        self.next + self.slots.len() - self.filled
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
            ring.push(&Packed::from(&Sample { time_ns, ..Sample::default() }), time_ns % 2 == 0);
            let expected: Vec<u64> = (time_ns.saturating_sub(2).max(1)..=time_ns).collect();
            assert_eq!(times(&ring), expected);
        }
        let unstored = |ring: &mut Ring| {
            let taken = (0..ring.len()).filter_map(|at| ring.take_unstored(at));
            taken.map(|packed| Sample::from(&packed).time_ns).collect::<Vec<_>>()
        };
        assert_eq!(unstored(&mut ring), [5, 7]);
        assert_eq!(unstored(&mut ring), [0; 0], "each is taken once");
    }
}
