//! `fragwatch trace`: from the kernel's events to the report, until it is told to end.
use std::{
    io::{self, IsTerminal as _},
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use anyhow::Context as _;
use jiff::tz::TimeZone;
use nix::unistd::{SysconfVar, sysconf};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    cli::{Format, TraceArgs},
    clock,
    creation::{Correlator, Creation, Incident, Outcome, Story},
    diagnose::{Case, diagnose},
    kernel, privileges, readiness,
    report::{Json, Ready, Report, Summary, Text, Told},
    source::live::{Live, Options},
    survive, watchdog,
};

/// How often losses are looked for, and quiet stories outside creations ended.
const TICK: Duration = Duration::from_secs(1);

/// Incidents outside creations that are told from one tick to the next. More would take the time
/// that creations need, and nobody could read them.
const MAX_INCIDENTS: u32 = 20;

/// Pieces of evidence taken before signals and the clock are looked at again.
const BATCH: usize = 1024;

/// Why tracing ended early.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It could not begin.
    #[error("could not begin to trace: {0:#}")]
    Start(anyhow::Error),
    /// It could not go on.
    #[error("could not go on tracing: {0:#}")]
    Run(anyhow::Error),
}

/// Watches and reports until a signal, the duration's end, or the end of whoever reads.
pub async fn run(args: &TraceArgs) -> Result<(), TraceError> {
    let mut watch = Watch::start(args).map_err(TraceError::Start)?;
    let ended = watch.run(args.duration).await;
    match ended {
        // Nobody reads any more: that is an end like another.
        Err(error) if is_closed_pipe(&error) => Ok(()),
        other => other.map_err(TraceError::Run),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

struct Watch {
    live: Live,
    ready: Ready,
    report: Box<dyn Report>,
    correlator: Correlator,
    /// How many may be told until the next tick.
    incidents_left: u32,
    summary: Summary,
    /// What no verdict can rest on here, in sentences.
    blind_to: Vec<String>,
    all: bool,
    page_size: u64,
    interrupt: Signal,
    terminate: Signal,
}

impl Watch {
    fn start(args: &TraceArgs) -> anyhow::Result<Self> {
        privileges::check()?;
        privileges::own_proc_files();
        // First of all, so that a signal that comes while attaching ends in order.
        let interrupt = signal(SignalKind::interrupt()).context("could not wait for SIGINT")?;
        let terminate = signal(SignalKind::terminate()).context("could not wait for SIGTERM")?;
        watchdog::start().context("could not watch over the end")?;
        let kernel = kernel::release()?;
        let page_size = page_size()?;
        let live = Live::start(Options { all: args.all, preference: args.attach })?;
        survive::prepare();
        if let Err(error) = privileges::give_back(|| live.loss().is_ok()) {
            log::warn!("could not give back capabilities that are not needed any more: {error}");
        }
        let report: Box<dyn Report> = match args.format {
            Format::Text => Box::new(Text::new(anstream::stdout(), page_size, TimeZone::system())),
            Format::Json => Box::new(Json::new(io::stdout(), page_size)),
        };
        let (hooks, not_seen) = (live.hooks.clone(), live.not_seen.clone());
        let blind_to = blind_to(&live);
        let correlator = Correlator::new(!live.sees_failures());
        Ok(Self {
            live,
            blind_to,
            ready: Ready { kernel, hooks, not_seen },
            report,
            correlator,
            incidents_left: MAX_INCIDENTS,
            summary: Summary::default(),
            all: args.all,
            page_size,
            interrupt,
            terminate,
        })
    }

    async fn run(&mut self, duration: Option<Duration>) -> anyhow::Result<()> {
        self.report.ready(&self.ready).context(REPORT)?;
        let end = duration.and_then(|d| Instant::now().checked_add(d));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reader = Reader::new();
        let mut more = false;
        loop {
            tokio::select! {
                // In this order, so that a storm of events keeps nobody from ending it.
                biased;
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                () = at(end) => break,
                () = reader.gone() => return Ok(()),
                _ = tick.tick() => {
                    self.incidents_left = MAX_INCIDENTS;
                    self.live.refresh_symbols();
                    self.live.refresh_missed_runs();
                    self.look_for_loss()?;
                    let quiet = self.correlator.flush_outside(Some(clock::monotonic_ns()));
                    self.tell_all(quiet)?;
                }
                () = std::future::ready(()), if more => {}
                ready = self.live.wait() => ready.context("could not wait for the kernel's events")?,
            }
            more = self.take_some(BATCH)?;
        }
        self.live.detach();
        self.live.refresh_missed_runs();
        while self.take_some(BATCH)? {}
        self.look_for_loss()?;
        let rest = self.correlator.flush_outside(None);
        self.tell_all(rest)?;
        self.summary.unfinished = self.correlator.unfinished();
        self.summary.outside = self.live.outside().context(COUNTERS)?;
        self.report.summary(&self.summary).context(REPORT)
    }

    /// Takes at most so many pieces of evidence from the rings and tells what came of them. True if
    /// there may be more.
    fn take_some(&mut self, limit: usize) -> anyhow::Result<bool> {
        for _ in 0..limit {
            watchdog::step();
            match self.live.take() {
                Some(Ok(evidence)) => {
                    let stories = self.correlator.push(evidence);
                    self.tell_all(stories)?;
                }
                Some(Err(error)) => log::error!("{error}; it is left out"),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Not to be done for every event: while the kernel answers, it runs neither kprobes' nor
    /// tracepoints' programs on that CPU, so that a thread that preempts us there is not seen
    /// (`bpf_disable_instrumentation` in kernel/bpf/syscall.c). That is counted as a missed run.
    fn look_for_loss(&mut self) -> anyhow::Result<()> {
        let loss = self.live.loss().context(COUNTERS)?;
        if loss != self.summary.loss {
            self.summary.loss = loss;
            self.report.loss(&loss).context(REPORT)?;
        }
        Ok(())
    }

    fn tell_all(&mut self, stories: Vec<Story>) -> anyhow::Result<()> {
        for story in stories {
            match story {
                Story::Creation(creation) => self.tell_creation(&creation)?,
                // Kills and refused forks outside creations come unasked.
                Story::Incident(incident) if self.all => self.tell_incident(&incident)?,
                Story::Incident(_) => {}
            }
        }
        Ok(())
    }

    fn tell_creation(&mut self, creation: &Creation) -> anyhow::Result<()> {
        let outcome = creation.outcome();
        let verdict = (outcome != Outcome::Ok)
            .then(|| diagnose(&Case::creation(creation, &self.blind_to), self.page_size));
        self.summary.count(outcome, verdict.as_ref());
        if outcome == Outcome::Ok && !self.all {
            return Ok(());
        }
        let time = clock::time_of_day(creation.ended_ns);
        let told = Told { time, what: creation, verdict: verdict.as_ref() };
        self.report.creation(told).context(REPORT)?;
        let late_us = clock::monotonic_ns().saturating_sub(creation.ended_ns) / 1000;
        self.summary.slowest_report_us = self.summary.slowest_report_us.max(Some(late_us));
        Ok(())
    }

    fn tell_incident(&mut self, incident: &Incident) -> anyhow::Result<()> {
        if self.incidents_left == 0 {
            self.summary.incidents_omitted += 1;
            return Ok(());
        }
        self.incidents_left -= 1;
        self.summary.incidents += 1;
        let verdict = diagnose(&Case::incident(incident, &self.blind_to), self.page_size);
        let time = clock::time_of_day(incident.time_ns);
        let told = Told { time, what: incident, verdict: Some(&verdict) };
        self.report.incident(told).context(REPORT)
    }
}

/// What is missing on this kernel that a verdict would otherwise rest on.
fn blind_to(live: &Live) -> Vec<String> {
    let mut blind_to: Vec<String> = live
        .hooks
        .iter()
        .filter(|hook| hook.hook.bears_on_others())
        .filter_map(|hook| hook.not_seen.clone())
        .collect();
    if !live.knows_names() {
        blind_to.push("whether an interrupt made the allocation: names are hidden".to_owned());
    }
    blind_to
}

const REPORT: &str = "could not write the report to standard output";
const COUNTERS: &str = "could not read the kernel side's counters";

fn page_size() -> anyhow::Result<u64> {
    let size = sysconf(SysconfVar::PAGE_SIZE).context("could not ask for the page size")?;
    let size = size.context("this system does not say its page size")?;
    u64::try_from(size).context("the page size is negative")
}

async fn at(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Whoever reads the report: when standard output is a pipe, its other end.
struct Reader(Option<AsyncFd<OwnedFd>>);

impl Reader {
    fn new() -> Self {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Self(None);
        }
        // A file can't be waited for, and has no reader that could go.
        let pipe = stdout.as_fd().try_clone_to_owned().ok();
        Self(pipe.and_then(|fd| readiness::watch(fd, Interest::ERROR).ok()))
    }

    /// Returns when there is nobody left to read, so never if that can't be known.
    async fn gone(&self) {
        if let Some(pipe) = &self.0
            && pipe.ready(Interest::ERROR).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
