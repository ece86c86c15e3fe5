//! What `serve` does with the loop's entries: metrics, and the flight recorder.
use std::{mem, sync::Arc, sync::mpsc::Receiver, time::Duration};

use fragwatch_core::{
    correlate::Correlated,
    model::{
        entry::Entry,
        sample::{Fallbacks, Sample},
        trigger::Trigger,
    },
};
use fragwatch_recorder::{Recorder, store::Severity};

use super::{
    journal::{Journal, Priority},
    notify,
    sampler::Sampled,
    shared::{Phase, Shared},
};
use crate::{host::clock, live::Live, trace::consumer::Consumer};

/// Every how many ticks the kernel side is asked for what it counted instead of sending it.
const COUNTS_TICKS: u32 = 10;

/// How long the end waits for the store.
const CLOSE: Duration = Duration::from_secs(1);

pub(super) struct ServeConsumer {
    shared: Arc<Shared>,
    journal: Journal,
    /// `None` after the end.
    recorder: Option<Recorder>,
    samples: Receiver<Sampled>,
    /// Creations without trouble that the kernel side had counted when it was asked last.
    untroubled: u64,
    /// Allocations that had taken a block of another migratetype when the kernel side was asked last.
    fallbacks: Option<Fallbacks>,
    ticks: u32,
    /// A hook was detached since the last tick.
    detached: bool,
}

impl ServeConsumer {
    pub(super) fn new(
        shared: Arc<Shared>,
        journal: Journal,
        recorder: Recorder,
        samples: Receiver<Sampled>,
    ) -> Self {
        Self {
            shared,
            journal,
            recorder: Some(recorder),
            samples,
            untroubled: 0,
            fallbacks: None,
            ticks: 0,
            detached: false,
        }
    }

    fn say_what_was_left_out(&self, now_ns: u64) {
        for sentence in self.shared.limits().turn(now_ns) {
            self.journal.line(Priority::Warning, &sentence);
        }
    }

    fn set_counts(&mut self, live: &Live) {
        self.shared.metrics.set_loss(live.loss());
        if self.ticks.is_multiple_of(COUNTS_TICKS) {
            self.fallbacks = live.fallbacks();
            if let Some(fallbacks) = self.fallbacks {
                self.shared.metrics.set_fallbacks(fallbacks);
            }
            self.shared.metrics.set_outside(live.outside());
            let untroubled = live.creations().untroubled;
            self.shared.metrics.count_untroubled(untroubled - self.untroubled);
            self.untroubled = untroubled;
        }
        self.ticks = self.ticks.wrapping_add(1);
    }

    fn record(&mut self, now_ns: u64) {
        let Some(recorder) = &mut self.recorder else { return };
        let fallbacks = self.fallbacks;
        for sampled in self.samples.try_iter() {
            recorder.sample(&Sample { fallbacks, ..sampled.sample });
            if sampled.worse {
                recorder.trigger(Trigger::CheckWorse, now_ns);
            }
        }
        if self.shared.take_request() {
            recorder.trigger(Trigger::Signal, now_ns);
            self.journal.line(Priority::Info, "the samples are written to the store: SIGUSR1");
        }
        for notice in recorder.take_notices() {
            let priority = match notice.severity {
                Severity::Warning => Priority::Warning,
                Severity::Info => Priority::Info,
            };
            self.journal.line(priority, &notice.text);
        }
        let store = recorder.store();
        if let Some(store) = &store {
            self.shared.metrics.set_store(store);
        }
        self.shared.board().store = store;
    }
}

impl Consumer for ServeConsumer {
    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Event(event) => self.shared.metrics.observe(event),
            Entry::Detached(_) => self.detached = true,
            _ => {}
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.entry(entry);
        }
    }

    fn correlated(&mut self, correlated: &[Correlated]) {
        self.shared.metrics.count(correlated);
        let mut limits = self.shared.limits();
        let admitted = correlated.iter().filter(|one| match one {
            Correlated::CreationStep(step) => step.is_start && limits.admit(step),
            Correlated::Incident(_) | Correlated::Unfinished(_) => false,
        });
        let admitted: Vec<&Correlated> = admitted.collect();
        if let Some(recorder) = &mut self.recorder {
            for one in admitted {
                recorder.completed(std::slice::from_ref(one), clock::monotonic_ns());
            }
        }
    }

    fn tick(&mut self, live: &Live) {
        self.shared.turn();
        if mem::take(&mut self.detached) {
            self.shared.metrics.set_hooks(&live.hooks);
        }
        let now_ns = clock::monotonic_ns();
        self.set_counts(live);
        self.record(now_ns);
        self.say_what_was_left_out(now_ns);
    }

    fn ending(&mut self) {
        self.shared.enter(Phase::Stopping);
        notify::stopping();
        // Detaching takes seconds, after which it may be killed.
        if let Some(recorder) = &self.recorder {
            recorder.hurry();
        }
    }

    fn end(&mut self) {
        if let Some(recorder) = self.recorder.take()
            && let Err(error) = recorder.close(CLOSE)
        {
            self.journal
                .line(Priority::Warning, &format!("the store may lack the last seconds: {error}"));
        }
    }
}
