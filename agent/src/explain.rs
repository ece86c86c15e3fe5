//! `fragwatch explain`: from kernel logs to the report. Needs no rights and no kernel that can be
//! traced.
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{
    cli::{ExplainArgs, Format},
    diagnose::{Evidence, diagnose},
    incident::{Buddyinfo, LogIncident},
    report::log::{LogJson, LogReport, LogSummary, LogText, ReportedLog},
    source::kernel_log::{
        gather::Assembler,
        message::{self, Message},
        reader::{Lines, Next},
    },
};

/// A stream that is quiet for this long has said all about what is under way.
const QUIET: Duration = Duration::from_secs(1);
/// How often signals are looked for while nothing comes.
const TICK: Duration = Duration::from_millis(200);
/// /proc/buddyinfo is never larger than this; what is larger is a log.
const BUDDYINFO_MAX: u64 = 1 << 20;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All inputs were read.
    Read,
    /// Some could not be read; the others were.
    SomeUnread,
}

/// Reads the logs and reports what is in them.
pub fn run(args: &ExplainArgs) -> anyhow::Result<Ended> {
    let mut report: Box<dyn LogReport> = match args.format {
        Format::Text => Box::new(LogText::new(anstream::stdout())),
        Format::Json => Box::new(LogJson::new(io::stdout())),
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .context("could not wait for signals")?;
    }
    let mut explain = Explain::new(report.as_mut(), stop, args.kernel.clone());
    match explain.all(&args.files) {
        // Nobody reads any more: that is an end like another.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.context("could not write the report to standard output")?,
    }
    Ok(if explain.summary.unread == 0 { Ended::Read } else { Ended::SomeUnread })
}

/// Reads one log and reports what is in it, as [`run`] does for each.
pub fn one(
    name: &str,
    input: impl Read + Send + 'static,
    report: &mut dyn LogReport,
) -> io::Result<()> {
    let mut explain = Explain::new(report, Arc::default(), None);
    explain.one(name, Lines::new(input))?;
    explain.report.summary(&explain.summary)
}

struct Explain<'a> {
    report: &'a mut dyn LogReport,
    stop: Arc<AtomicBool>,
    kernel: Option<String>,
    buddyinfo: Vec<Buddyinfo>,
    summary: LogSummary,
    /// There is more than one log.
    others: bool,
}

impl<'a> Explain<'a> {
    fn new(report: &'a mut dyn LogReport, stop: Arc<AtomicBool>, kernel: Option<String>) -> Self {
        Self {
            report,
            stop,
            kernel,
            buddyinfo: Vec::new(),
            summary: LogSummary::default(),
            others: false,
        }
    }

    fn all(&mut self, files: &[String]) -> io::Result<()> {
        // First what was read at another time, so that it can stand beside what it is about.
        let mut logs: Vec<&str> = Vec::new();
        for file in files {
            match buddyinfo(file) {
                Some(zones) => self.buddyinfo.extend(zones),
                None => logs.push(file),
            }
        }
        if files.is_empty() {
            logs.push("-");
        }
        self.others = logs.len() > 1;
        for file in logs {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            match open(file) {
                Ok(input) => self.one(file, Lines::new(input))?,
                Err(error) => self.unread(file, &error.to_string()),
            }
        }
        self.report.summary(&self.summary)
    }

    /// Reads one log to its end.
    fn one(&mut self, file: &str, mut lines: Lines) -> io::Result<()> {
        self.summary.files += 1;
        let mut gatherer = Assembler::new(self.kernel.clone(), self.buddyinfo.clone());
        let mut heard = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            match lines.next_timeout(TICK) {
                Next::Line(line) => {
                    let ended = gatherer.push(&line);
                    self.tell(file, &ended)?;
                    heard = Instant::now();
                }
                Next::Quiet => {
                    if heard.elapsed() >= QUIET && !gatherer.is_idle() {
                        let ended = gatherer.flush();
                        self.tell(file, &ended)?;
                    }
                }
                Next::Failed(error) => self.unread(file, &error.to_string()),
                Next::End => break,
            }
        }
        let ended = gatherer.flush();
        self.tell(file, &ended)?;
        self.summary.without_beginning += gatherer.without_beginning();
        self.summary.add(lines.stats());
        Ok(())
    }

    fn tell(&mut self, file: &str, incidents: &[LogIncident]) -> io::Result<()> {
        for incident in incidents {
            let verdict = diagnose(&Evidence::log(incident), incident.page_size);
            self.summary.count(verdict.cause);
            self.report.incident(ReportedLog { file, what: incident, verdict: &verdict })?;
        }
        Ok(())
    }

    fn unread(&mut self, file: &str, why: &str) {
        self.summary.unread += 1;
        let name = if file == "-" { "standard input" } else { file };
        let others = if self.others { "; the other logs are read all the same" } else { "" };
        anstream::eprintln!("fragwatch: could not read {name}: {why}{others}");
    }
}

fn open(file: &str) -> io::Result<Box<dyn Read + Send>> {
    if file == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(file)?;
    if opened.metadata()?.is_dir() {
        return Err(io::Error::other("it is a directory: name the logs in it"));
    }
    Ok(Box::new(opened))
}

/// The zones of a file that is a copy of /proc/buddyinfo, which begins with one.
fn buddyinfo(file: &str) -> Option<Vec<Buddyinfo>> {
    let small =
        |path: &Path| path.metadata().is_ok_and(|m| m.is_file() && m.len() <= BUDDYINFO_MAX);
    if file == "-" || !small(Path::new(file)) {
        return None;
    }
    let lines = BufReader::new(File::open(file).ok()?).lines().map_while(Result::ok);
    let mut zones = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        match message::parse_kernel(&line) {
            Some(Message::Buddyinfo(zone, blocks)) => {
                zones.push(Buddyinfo { node: zone.node, name: zone.name, blocks });
            }
            _ if zones.is_empty() => return None,
            _ => {}
        }
    }
    (!zones.is_empty()).then_some(zones)
}
