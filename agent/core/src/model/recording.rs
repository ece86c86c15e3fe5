//! The samples around a trigger, put together from a capture.
use std::collections::BTreeMap;

use super::{sample::Sample, trigger::Trigger};

/// Samples that are further apart than this are of no recording, in nanoseconds.
const GAP_NS: u64 = 30_000_000_000;

/// Without a trigger samples are held this long, in nanoseconds: as long as the recorder holds them.
const HELD_NS: u64 = 15 * 60 * 1_000_000_000;

/// Samples of one recording; further ones are of the next.
const MAX_SAMPLES: usize = 20_000;

/// What the flight recorder wrote down around a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// When it was triggered, `CLOCK_MONOTONIC` in nanoseconds.
    pub triggered_ns: u64,
    /// Why.
    pub reason: Trigger,
    /// The samples, the oldest first; at least one.
    pub samples: Vec<Sample>,
}

/// Puts recordings together.
#[derive(Debug, Default)]
pub struct Recordings {
    samples: BTreeMap<u64, Sample>,
    trigger: Option<(u64, Trigger)>,
}

impl Recordings {
    /// Takes a sample. Returns the recording that was complete before it.
    pub fn sample(&mut self, sample: Sample) -> Option<Recording> {
        let newest = self.samples.last_key_value().map_or(sample.time_ns, |(time_ns, _)| *time_ns);
        let follows = sample.time_ns.saturating_sub(newest) < GAP_NS;
        let complete =
            if follows && self.samples.len() < MAX_SAMPLES { None } else { self.finish() };
        self.samples.insert(sample.time_ns, sample);
        if self.trigger.is_none() {
            let from = newest.saturating_sub(HELD_NS);
            self.samples = self.samples.split_off(&from);
        }
        complete
    }

    /// Takes a trigger. Returns the recording that was complete before it.
    pub fn trigger(&mut self, time_ns: u64, reason: Trigger) -> Option<Recording> {
        let complete = self.finish();
        self.trigger = Some((time_ns, reason));
        complete
    }

    /// The last recording, if there is one.
    pub fn finish(&mut self) -> Option<Recording> {
        let (triggered_ns, reason) = self.trigger.take()?;
        let samples = self.samples.split_off(&triggered_ns.saturating_sub(HELD_NS));
        self.samples.clear();
        let samples: Vec<Sample> = samples.into_values().collect();
        (!samples.is_empty()).then_some(Recording { triggered_ns, reason, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64) -> Sample {
        Sample { time_ns: second * 1_000_000_000, ..Sample::default() }
    }

    fn seconds(recording: &Recording) -> (u64, Option<u64>, usize) {
        let at = |sample: &Sample| sample.time_ns / 1_000_000_000;
        let first = recording.samples.first().map_or(0, at);
        (first, recording.samples.last().map(at), recording.samples.len())
    }

    #[test]
    fn samples_around_a_trigger_are_one_recording() {
        let mut recordings = Recordings::default();
        for minute in 0..100 {
            assert_eq!(recordings.sample(sample(minute * 60)), None);
        }
        assert_eq!(recordings.trigger(6000 * 1_000_000_000, Trigger::Signal), None);
        for second in (5100..6060).filter(|second| second % 60 != 0) {
            assert_eq!(recordings.sample(sample(second)), None);
        }
        let recording = recordings.sample(sample(6120)).expect("a minute later it is complete");
        assert_eq!(seconds(&recording), (5100, Some(6059), 959));
        // What comes every minute is none.
        assert_eq!(recordings.sample(sample(6180)), None);
        assert_eq!(recordings.finish(), None);
    }
}
