//! The report of one run after another.
use std::{cell::Cell, io, mem, rc::Rc};

use fragwatch_core::{
    clock,
    correlate::Correlated,
    model::{
        entry::{Entry, Header},
        log_time::Wall,
    },
    pipeline::Pipeline,
    report::{
        Format,
        line::{Line, time::Time},
    },
};

use super::Window;
use crate::{
    cli::{self, ReplayArgs},
    output,
};

/// Reports the entries of runs.
pub(super) struct Report {
    format: cli::Format,
    all: bool,
    window: Window,
    /// A run without anything to report is left out.
    skip_quiet: bool,
    pipeline: Option<Pipeline>,
    correlated: Vec<Correlated>,
    runs: u64,
    /// Something was reported.
    reported: Rc<Cell<bool>>,
}

impl Report {
    pub(super) fn new(args: &ReplayArgs, skip_quiet: bool) -> Self {
        Self {
            format: args.format,
            all: args.all,
            window: args.window.into(),
            skip_quiet,
            pipeline: None,
            correlated: Vec::new(),
            runs: 0,
            reported: Rc::default(),
        }
    }

    /// Ends one run and begins another one.
    pub(super) fn begin(&mut self, mut header: Header) -> io::Result<()> {
        self.finish()?;
        header.all |= self.all;
        let report = Filter {
            inner: output::replayed_to_stdout(self.format),
            window: self.window,
            held: None,
            skip_quiet: self.skip_quiet,
            reported: Rc::clone(&self.reported),
        };
        let mut pipeline = Pipeline::new(header, Box::new(report));
        pipeline.ready()?;
        self.pipeline = Some(pipeline);
        self.runs += 1;
        Ok(())
    }

    /// Reports what an entry completes.
    pub(super) fn entry(&mut self, entry: Entry) -> io::Result<()> {
        // Entries beside it, such as names, come after the event that completes a creation.
        if !entry.is_beside() {
            self.report()?;
        }
        if let Some(pipeline) = &mut self.pipeline {
            self.correlated.extend(pipeline.apply(entry)?);
        }
        Ok(())
    }

    /// Notes that an entry is missing.
    pub(super) fn missing_entry(&mut self) {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.note_missing_entry();
        }
    }

    /// Ends the last run.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.report()?;
        self.pipeline.take().map_or(Ok(()), |mut pipeline| pipeline.summary())
    }

    /// Whether nothing was reported.
    pub(super) fn is_empty(&self) -> bool {
        !self.reported.get()
    }

    /// How many runs there were.
    pub(super) fn runs(&self) -> u64 {
        self.runs
    }

    fn report(&mut self) -> io::Result<()> {
        let Some(pipeline) = &mut self.pipeline else { return Ok(()) };
        let offset = pipeline.realtime_offset_ns();
        let mut correlated = mem::take(&mut self.correlated);
        correlated.retain(|one| {
            one.time_ns().is_none_or(|ns| self.window.has(clock::time_of_day(ns, offset)))
        });
        pipeline.report(correlated)
    }
}

/// Leaves out recordings of other times, and runs without anything to report.
struct Filter {
    inner: Box<dyn Format>,
    window: Window,
    /// A run's first line, until there is something to report.
    held: Option<Line>,
    skip_quiet: bool,
    reported: Rc<Cell<bool>>,
}

impl Format for Filter {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        match line {
            Line::Ready(_) if self.skip_quiet => {
                self.held = Some(line.clone());
                return Ok(());
            }
            // Nothing was reported of this run.
            Line::Summary(_) | Line::Loss(_) if self.held.is_some() => return Ok(()),
            Line::Recording(recording) => {
                let (from, until) = (instant(recording.from), instant(recording.until));
                if from.zip(until).is_some_and(|(from, until)| !self.window.overlaps(from, until)) {
                    return Ok(());
                }
            }
            _ => {}
        }
        if let Some(first) = self.held.take() {
            self.inner.line(&first)?;
        }
        self.reported.set(true);
        self.inner.line(line)
    }
}

fn instant(time: Time) -> Option<jiff::Timestamp> {
    match time.0 {
        Wall::Timestamp(at) => Some(at),
        Wall::Civil(_) | Wall::Yearless { .. } => None,
    }
}
