//! The samples of the last minutes, the oldest overwritten by the newest.
use crate::packed::Packed;

/// A ring of samples, allocated once and touched at once, so that it can be locked in memory. Samples that
/// are to be stored wait in it for the store's thread: copies would be more memory than all else that an
/// incident takes.
#[derive(Debug)]
pub(crate) struct Ring {
    slots: Box<[Slot]>,
    /// The slot of the next sample.
    next: usize,
    /// How many slots are [`Place::Waiting`].
    waiting: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    sample: Packed,
    place: Place,
}

/// Where a slot's sample is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Empty,
    /// In the ring alone.
    Held,
    /// In the ring, and the store's thread is to take it under this number.
    Waiting(u64),
    /// The store's thread has it.
    Taken,
}

impl Ring {
    /// A ring for that many samples, at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        // Not `vec![Slot::default(); n]`, which may map zero pages that are first touched later.
        let slots = (0..capacity.max(1)).map(|_| std::hint::black_box(Slot::default())).collect();
        Self { slots, next: 0, waiting: 0 }
    }

    /// Adds a sample; with the number of its entry, it waits to be taken.
    pub(crate) fn push(&mut self, sample: &Packed, sequence: Option<u64>) {
        let place = sequence.map_or(Place::Held, Place::Waiting);
        let slot = &mut self.slots[self.next];
        self.waiting -= usize::from(matches!(slot.place, Place::Waiting(_)));
        self.waiting += usize::from(sequence.is_some());
        *slot = Slot { sample: *sample, place };
        self.next = (self.next + 1) % self.slots.len();
    }

    /// Lets all wait that are held, the oldest first, under numbers from `sequence` on. Returns how many.
    pub(crate) fn store_all(&mut self, sequence: u64) -> u64 {
        let (newer, older) = self.slots.split_at_mut(self.next);
        let held = older.iter_mut().chain(newer).filter(|slot| slot.place == Place::Held);
        let mut next = sequence;
        for slot in held {
            slot.place = Place::Waiting(next);
            self.waiting += 1;
            next += 1;
        }
        next - sequence
    }

    /// How many samples wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether the next sample overwrites one that waits.
    pub(crate) fn is_next_waiting(&self) -> bool {
        matches!(self.slots[self.next].place, Place::Waiting(_))
    }

    /// The numbers of those that wait.
    #[cfg(test)]
    pub(crate) fn waiting_numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.slots.iter().filter_map(|slot| match slot.place {
            Place::Waiting(sequence) => Some(sequence),
            Place::Empty | Place::Held | Place::Taken => None,
        })
    }

    /// Takes the sample that waits under the smallest number. It stays in the ring.
    pub(crate) fn take(&mut self) -> Option<(u64, Packed)> {
        if self.waiting == 0 {
            return None;
        }
        let number = |slot: &&mut Slot| match slot.place {
            Place::Waiting(sequence) => sequence,
            Place::Empty | Place::Held | Place::Taken => u64::MAX,
        };
        let first = self.slots.iter_mut().min_by_key(number)?;
        let sequence = number(&first);
        first.place = Place::Taken;
        self.waiting -= 1;
        Some((sequence, first.sample))
    }
}

#[cfg(test)]
mod tests {
    use fragwatch_core::model::sample::Sample;

    use super::*;

    fn sample(time_ns: u64) -> Packed {
        Packed::from(&Sample { time_ns, ..Sample::default() })
    }

    /// Numbers and times of those that wait.
    fn take_all(ring: &mut Ring) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| ring.take())
            .map(|(sequence, packed)| (sequence, Sample::from(&packed).time_ns))
            .collect()
    }

    #[test]
    fn the_newest_are_stored_the_oldest_first_and_each_once() {
        for pushed in 0..=7_u64 {
            let mut ring = Ring::new(3);
            for time_ns in 1..=pushed {
                ring.push(&sample(time_ns), None);
            }
            let oldest = pushed.saturating_sub(2).max(1);
            let expected: Vec<_> = (100..).zip(oldest..=pushed).collect();
            assert_eq!(ring.store_all(100), expected.len() as u64);
            assert_eq!(ring.store_all(200), 0, "they wait already");
            assert_eq!(ring.waiting(), expected.len());
            assert_eq!(take_all(&mut ring), expected);
            assert_eq!((ring.waiting(), ring.store_all(300)), (0, 0), "they are taken");
        }
    }

    #[test]
    fn numbers_decide_the_order_and_what_is_overwritten_does_not_wait() {
        let mut ring = Ring::new(3);
        ring.push(&sample(1), None);
        ring.push(&sample(2), Some(10));
        ring.push(&sample(3), None);
        assert_eq!(ring.store_all(11), 2);
        assert!(ring.is_next_waiting());
        ring.push(&sample(4), None);
        assert_eq!(take_all(&mut ring), [(10, 2), (12, 3)]);
        assert!(!ring.is_next_waiting());
        ring.push(&sample(5), Some(13));
        assert_eq!(take_all(&mut ring), [(13, 5)]);
        assert_eq!(ring.store_all(20), 1, "the one that was held");
    }
}
