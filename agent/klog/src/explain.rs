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
    model::{
        incident::Incident, kernel_version::KernelVersion, left_out::LeftOut, log_stats::Stats,
        node::Buddyinfo,
    },
    report::{
        Format,
        line::{
            Line,
            summary::{LeftOutFiles, Logs, Summary},
        },
        view,
    },
};

use crate::{
    assemble::Assembler,
    lines::{Lines, Next},
    read::input::ReadError,
    timeline::Timeline,
    tree::{Facts, LeftOutCounts, Tree},
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
    left_out: LeftOutCounts,
    /// Where incidents wait, if those of several logs are put together.
    timeline: Option<Timeline>,
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
        Self {
            report,
            stop,
            kernel,
            buddyinfo,
            summary: Summary::default(),
            logs: Logs::default(),
            left_out: LeftOutCounts::default(),
            timeline: None,
        }
    }

    /// From now on incidents are put together into one timeline, which is reported at the end.
    pub fn gather(&mut self) {
        self.timeline.get_or_insert_default();
    }

    /// Reads one log to its end. Returns why it could not be read any further, if so; an error is
    /// one of the report.
    pub fn read(
        &mut self,
        name: &str,
        input: impl Read + Send + 'static,
    ) -> io::Result<Option<ReadError>> {
        let assembler = Assembler::new(self.kernel.clone(), self.buddyinfo.clone());
        self.read_with(name, input, assembler)
    }

    /// Reads the logs in a directory or an archive; `facts` are those of the same.
    pub fn read_tree(&mut self, mut tree: Tree, facts: &Facts) -> io::Result<()> {
        self.gather();
        while !self.stop.load(Ordering::Relaxed)
            && let Some(found) = tree.next_log()
        {
            let kernel = self.kernel.clone().or_else(|| facts.kernel(&found.name).cloned());
            let mut buddyinfo = self.buddyinfo.clone();
            buddyinfo.extend(facts.buddyinfo(&found.name));
            let assembler = Assembler::new(kernel, buddyinfo);
            if let Some(error) = self.read_with(&found.name, found.input, assembler)? {
                // It is counted with what was left out.
                self.logs.unread_files -= 1;
                tree.leave_out(&error, &found.name);
            } else if found.lost.load(Ordering::Relaxed) {
                self.left_out.add(LeftOut::Damaged, &found.name);
            }
        }
        let skimmed = tree.skimmed();
        self.logs.files += skimmed.files;
        self.logs.lines += skimmed.lines;
        self.logs.bytes += skimmed.bytes;
        self.logs.unread_files += tree.left_out().unread();
        self.left_out.merge(tree.left_out());
        Ok(())
    }

    fn read_with(
        &mut self,
        name: &str,
        input: impl Read + Send + 'static,
        mut assembler: Assembler,
    ) -> io::Result<Option<ReadError>> {
        self.logs.files += 1;
        let mut failed = None;
        let mut lines = Lines::new(input);
        let mut last_line = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            match lines.next_timeout(TICK) {
                Next::Line(line) => {
                    if let Some(timeline) = &mut self.timeline {
                        timeline.line(name, &line);
                    }
                    let ended = assembler.push(&line);
                    self.report(name, ended)?;
                    last_line = Instant::now();
                }
                Next::Quiet => {
                    let waits = self.timeline.is_some() || assembler.is_idle();
                    if last_line.elapsed() >= QUIET && !waits {
                        let ended = assembler.flush();
                        self.report(name, ended)?;
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
        self.report(name, ended)?;
        self.logs.without_beginning += assembler.without_beginning();
        self.count(lines.stats());
        Ok(failed)
    }

    /// Counts a log that could not be read, or not to its end.
    pub fn not_read(&mut self) {
        self.logs.unread_files += 1;
    }

    /// Reports the totals, and returns how many logs could not be read to their end.
    pub fn finish(mut self) -> io::Result<u64> {
        self.report_timeline()?;
        let unread = self.logs.unread_files;
        let left_out = self.left_out.iter().map(|(reason, count, first)| LeftOutFiles {
            reason,
            count,
            first: first.to_owned(),
        });
        let logs =
            Logs { found: self.summary.incidents != 0, left_out: left_out.collect(), ..self.logs };
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

    /// Reports incidents of a log, now or with those of other logs.
    fn report(&mut self, file: &str, incidents: Vec<Incident>) -> io::Result<()> {
        let Some(timeline) = &mut self.timeline else {
            return incidents.iter().try_for_each(|incident| self.report_one(file, incident));
        };
        timeline.add(file, incidents);
        if timeline.is_full() { self.report_timeline() } else { Ok(()) }
    }

    fn report_timeline(&mut self) -> io::Result<()> {
        let incidents = self.timeline.as_mut().map(Timeline::take).unwrap_or_default();
        incidents.iter().try_for_each(|(file, incident)| self.report_one(file, incident))
    }

    fn report_one(&mut self, file: &str, incident: &Incident) -> io::Result<()> {
        let verdict = diagnose(&Evidence::incident(incident, &[]));
        self.summary.incidents += 1;
        self.summary.count_cause(verdict.cause);
        self.report.line(&view::log_incident(file, incident, &verdict))
    }
}
