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
    model::{incident::Incident, kernel_version::KernelVersion, log_stats::Stats, node::Buddyinfo},
    report::{
        Format,
        line::{
            Line,
            summary::{Logs, Summary},
        },
        view,
    },
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
    report: &'a mut dyn Format,
    stop: Arc<AtomicBool>,
    kernel: Option<KernelVersion>,
    buddyinfo: Vec<Buddyinfo>,
    summary: Summary,
    logs: Logs,
}

impl<'a> Explainer<'a> {
    /// Reports to `report` until `stop` is set. `kernel` is the release of logs that don't say it,
    /// `buddyinfo` what /proc/buddyinfo showed at another time.
    pub fn new(
        report: &'a mut dyn Format,
        stop: Arc<AtomicBool>,
        kernel: Option<KernelVersion>,
        buddyinfo: Vec<Buddyinfo>,
    ) -> Self {
        Self { report, stop, kernel, buddyinfo, summary: Summary::default(), logs: Logs::default() }
    }

    /// Reads one log to its end. Returns why it could not be read any further, if so; an error is
    /// one of the report.
    pub fn read(
        &mut self,
        name: &str,
        input: impl Read + Send + 'static,
    ) -> io::Result<Option<ReadError>> {
        self.logs.files += 1;
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
        self.logs.without_beginning += assembler.without_beginning();
        self.count(lines.stats());
        Ok(failed)
    }

    /// Counts a log that could not be read, or not to its end.
    pub fn not_read(&mut self) {
        self.logs.unread_files += 1;
    }

    /// Reports the totals, and returns how many logs could not be read to their end.
    pub fn finish(self) -> io::Result<u64> {
        let unread = self.logs.unread_files;
        let logs = Logs { found: self.summary.incidents != 0, ..self.logs };
        self.report.line(&Line::Summary(Summary { logs: Some(logs), ..self.summary }))?;
        Ok(unread)
    }

    fn count(&mut self, read: &Stats) {
        let logs = &mut self.logs;
        logs.lines += read.lines;
        logs.bytes += read.bytes;
        let skipped = &mut logs.skipped;
        skipped.cut_lines += read.cut_lines;
        skipped.cut_bytes += read.cut_bytes;
        skipped.undecodable_lines += read.undecodable_lines;
        skipped.compressed_tail_lost |= read.compressed_tail_lost;
        skipped.binary_files += u64::from(read.binary());
    }

    fn report(&mut self, file: &str, incidents: &[Incident]) -> io::Result<()> {
        for incident in incidents {
            let verdict = diagnose(&Evidence::incident(incident, &[]));
            self.summary.incidents += 1;
            self.summary.count_cause(verdict.cause);
            self.report.line(&view::log_incident(file, incident, &verdict))?;
        }
        Ok(())
    }
}
