//! The event loop's side of the recorder: what is written down, into which lane, and when.
use std::{io, sync::Arc, time::Duration};

use fragwatch_core::{
    correlate::Correlated,
    model::{
        entry::{Entry, Header},
        sample::Sample,
        step::{CreationStep, Outcome, StepKind},
        trigger::Trigger,
    },
};

use crate::{
    context::Context,
    packed::Packed,
    ring::Ring,
    store::{Claim, Handle, Lane, Notice, OpenError, Payload, Record, Shared, Status, to_json},
};

/// Samples come once in this time.
const SAMPLE_PERIOD: Duration = Duration::from_secs(1);

/// Without a trigger one sample is written in this time, so that the store shows a trend over days.
const SPARSE_NS: u64 = 60_000_000_000;

/// How a recorder works.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long samples are held in memory.
    pub before: Duration,
    /// How long samples are written after a trigger.
    pub after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { before: Duration::from_mins(15), after: Duration::from_mins(1) }
    }
}

/// Keeps samples, and writes events and samples to the store. No method waits for a file.
#[derive(Debug)]
pub struct Recorder {
    /// Has the ring of samples, from which the store's thread takes.
    shared: Arc<Shared>,
    after_ns: u64,
    store: Option<Handle>,
    context: Context,
    /// The number of the next entry.
    sequence: u64,
    /// Samples are written until then, `CLOCK_MONOTONIC` in nanoseconds.
    recording_until_ns: u64,
    /// When the last sample was taken that was written at once.
    stored_ns: Option<u64>,
}

impl Recorder {
    /// Opens the store and starts its thread, which calls `on_thread` first: for capabilities and the
    /// like. Without a store the recorder is in memory alone. `header` is that of this run's capture.
    ///
    /// # Errors
    /// If the store can't be used, in a sentence.
    pub fn open(
        options: &Options,
        store: Option<Claim>,
        header: &Header,
        on_thread: impl FnOnce() + Send + 'static,
    ) -> Result<Self, OpenError> {
        let samples = options.before.as_secs().div_ceil(SAMPLE_PERIOD.as_secs());
        let ring = Ring::new(usize::try_from(samples).unwrap_or(usize::MAX));
        let shared = Arc::new(Shared::new(ring));
        let open = |claim| Handle::open(claim, header, Arc::clone(&shared), on_thread);
        let store = store.map(open).transpose()?;
        Ok(Self {
            after_ns: u64::try_from(options.after.as_nanos()).unwrap_or(u64::MAX),
            sequence: store.as_ref().map_or(1, Handle::first_sequence),
            store,
            shared,
            context: Context::default(),
            recording_until_ns: 0,
            stored_ns: None,
        })
    }

    /// Takes an entry, in the order in which the pipeline takes them.
    pub fn entry(&mut self, entry: &Entry) {
        if self.store.is_none() {
            return;
        }
        if let Entry::Clock { realtime_offset_ns } = entry
            && let Some(store) = &self.store
        {
            store.set_realtime_offset_ns(*realtime_offset_ns);
        }
        let Some(json) = to_json(entry) else { return };
        let sequence = self.take_sequence();
        if self.context.belongs_to_incident(entry) {
            self.write(Lane::Incidents, sequence, Payload::Json(json.clone()));
        }
        self.context.push(sequence, entry, &json);
        self.write(Lane::Creations, sequence, Payload::Json(json));
    }

    /// Takes what the entries completed, after the entries that were read for its report: what failed
    /// is written to the lane of incidents, and the samples with it.
    pub fn completed(&mut self, correlated: &[Correlated], now_ns: u64) {
        for one in correlated {
            let Correlated::CreationStep(step) = one else { continue };
            let Some(reason) = trigger(step).filter(|_| step.is_start) else { continue };
            for (sequence, json) in self.context.incident(step, now_ns) {
                self.write(Lane::Incidents, sequence, Payload::Json(json));
            }
            self.trigger(reason, now_ns);
        }
    }

    /// Takes a sample.
    pub fn sample(&mut self, sample: &Sample) {
        let packed = Packed::from(sample);
        let now_ns = sample.time_ns;
        let sparse = self.stored_ns.is_none_or(|last| now_ns.saturating_sub(last) >= SPARSE_NS);
        let stored = self.store.is_some() && (sparse || now_ns < self.recording_until_ns);
        let sequence = stored.then(|| self.take_sequence());
        if stored {
            self.stored_ns = Some(now_ns);
        }
        self.shared.put_sample(&packed, sequence);
    }

    /// Writes the samples that are held and not written, and from now on those of the next minute.
    pub fn trigger(&mut self, reason: Trigger, now_ns: u64) {
        let recording = now_ns < self.recording_until_ns;
        self.recording_until_ns = now_ns.saturating_add(self.after_ns);
        if recording || self.store.is_none() {
            return;
        }
        if let Some(json) = to_json(&Entry::Trigger { time_ns: now_ns, reason }) {
            let sequence = self.take_sequence();
            self.write(Lane::Incidents, sequence, Payload::Json(json));
        }
        self.sequence += self.shared.store_samples(self.sequence);
    }

    /// How the store is; `None` without one.
    pub fn store(&self) -> Option<Status> {
        self.store.as_ref().map(Handle::status)
    }

    /// What happened to the store since the last call, for the journal: each once.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.store.as_ref().map(Handle::take_notices).unwrap_or_default()
    }

    /// Has what waits written to disk at once, and does not wait for that: the process may be killed soon.
    pub fn hurry(&self) {
        if let Some(store) = &self.store {
            store.hurry();
        }
    }

    /// Writes what is left, and waits for it no longer than `timeout`.
    ///
    /// # Errors
    /// If not everything is on disk by then.
    pub fn close(self, timeout: Duration) -> io::Result<()> {
        self.store.map_or(Ok(()), |store| store.close(timeout))
    }

    fn write(&self, lane: Lane, sequence: u64, payload: Payload) {
        if let Some(store) = &self.store {
            store.push(Record { lane, sequence, payload });
        }
    }

    fn take_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }
}

/// Why a step makes the recorder write; `None` if it does not.
fn trigger(step: &CreationStep) -> Option<Trigger> {
    let failed = step.outcome() >= Outcome::Degraded;
    let kill = matches!(step.kind, StepKind::OomKill { .. });
    failed.then_some(if kill { Trigger::OomKill } else { Trigger::Creation })
}
