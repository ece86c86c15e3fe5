//! What `trace` and `serve` do with the events of the loop, each in its own way.
use fragwatch_core::{correlate::Correlated, model::entry::Entry};

use crate::{capture::Recorder, live::Live};

/// Sees all that passes through the loop. Its calls stand between an event and its report, so they must
/// not wait for anything.
pub(crate) trait Consumer {
    /// Receives each entry before it is applied.
    fn entry(&mut self, entry: &Entry);
    /// Receives what an entry has completed, before its report. What was read for that report was received
    /// as entries before.
    fn correlated(&mut self, _correlated: &[Correlated]) {}
    /// Is called once a second, and before the end.
    fn tick(&mut self, live: &Live);
    /// Is called when the end begins, before the hooks are detached.
    fn ending(&mut self) {}
    /// Is called last.
    fn end(&mut self) {}
}

/// `trace`: the capture, if there is one.
impl Consumer for Option<Recorder> {
    fn entry(&mut self, entry: &Entry) {
        if let Some(recorder) = self {
            recorder.write(entry);
        }
    }

    fn tick(&mut self, _live: &Live) {
        if let Some(recorder) = self {
            recorder.flush();
        }
    }
}
