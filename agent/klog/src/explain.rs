//! From one log after the other to a report on the incidents in them.
use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use fragwatch_core::{
    diagnose::{Evidence, diagnose},
    model::{incident::Incident, kernel_version::KernelVersion, node::Buddyinfo},
    report::log::{LogReport, LogSummary, ReportedLog},
};

use crate::{
    assemble::Assembler,
    lines::{Lines, Next},
    read::input::ReadError,
};

/// A stream that is quiet for this long has nothing to add to what is under way.
const QUIET: Duration = Duration::from_secs(1);
/// How often `stop` is looked at while no line comes.
const TICK: Duration = Duration::from_millis(200);

/// Reads logs and reports the incidents in them.
pub struct Explainer<'a> {
    report: &'a mut dyn LogReport,
    stop: Arc<AtomicBool>,
    kernel: Option<KernelVersion>,
    buddyinfo: Vec<Buddyinfo>,
    summary: LogSummary,
}

impl<'a> Explainer<'a> {
    /// Reports to `report` until `stop` is set. `kernel` is the release of logs that don't say it,
    /// `buddyinfo` what /proc/buddyinfo showed at another time.
    pub fn new(
        report: &'a mut dyn LogReport,
        stop: Arc<AtomicBool>,
        kernel: Option<KernelVersion>,
        buddyinfo: Vec<Buddyinfo>,
    ) -> Self {
        Self { report, stop, kernel, buddyinfo, summary: LogSummary::default() }
    }

    /// Reads one log to its end. Returns why it could not be read any further, if so; an error is
    /// one of the report.
    pub fn read(
        &mut self,
        name: &str,
        input: impl Read + Send + 'static,
    ) -> io::Result<Option<ReadError>> {
        self.summary.files += 1;
        let mut failed = None;
        let mut lines = Lines::new(input);
        let mut assembler = Assembler::new(self.kernel.clone(), self.buddyinfo.clone());
        let mut last_line = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            match lines.next_timeout(TICK) {
                Next::Line(line) => {
                    let ended = assembler.push(&line);
                    self.report(name, &ended)?;
                    last_line = Instant::now();
                }
                Next::Quiet => {
                    if last_line.elapsed() >= QUIET && !assembler.is_idle() {
                        let ended = assembler.flush();
                        self.report(name, &ended)?;
                    }
                }
                Next::Failed(error) => {
                    self.not_read();
                    failed = Some(error);
                }
                Next::End => break,
            }
        }
        let ended = assembler.flush();
        self.report(name, &ended)?;
        self.summary.without_beginning += assembler.without_beginning();
        self.summary.add(lines.stats());
        Ok(failed)
    }

    /// Counts a log that could not be read, or not to its end.
    pub fn not_read(&mut self) {
        self.summary.unread += 1;
    }

    /// Reports the totals.
    pub fn finish(self) -> io::Result<LogSummary> {
        self.report.summary(&self.summary)?;
        Ok(self.summary)
    }

    fn report(&mut self, file: &str, incidents: &[Incident]) -> io::Result<()> {
        for incident in incidents {
            let verdict = diagnose(&Evidence::incident(incident, &[]));
            self.summary.count(verdict.cause);
            self.report.incident(ReportedLog { file, what: incident, verdict: &verdict })?;
        }
        Ok(())
    }
}
