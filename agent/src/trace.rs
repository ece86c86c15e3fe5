//! `fragwatch trace`: from the kernel's events to the report, until it is told to end.
use std::{
    collections::HashSet,
    io::{self, IsTerminal as _},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use fragwatch_core::{
    correlate::Correlated,
    model::{
        entry::{self, Entry, Header},
        identity::Query,
        node::NodeFacts,
    },
    pipeline::Pipeline,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    capture::Recorder,
    cli::TraceArgs,
    host::{
        clock, exit_watchdog,
        hierarchy::Hierarchy,
        node::{Cache, ReadingThread},
        oom_protection,
        orders::OrderStore,
        privileges,
    },
    kernel,
    live::{Live, Options, async_fd},
    lookup::Lookup,
    output,
};

/// How often losses are looked for, and quiet stories outside creations ended.
const TICK: Duration = Duration::from_secs(1);

/// The two clocks can't be read at once: closer than this, nobody has set one of them.
const CLOCK_NOISE_NS: u64 = 1_000_000;

/// A report waits for its container's names until this long after the creation's end.
const NAMES_WITHIN_NS: u64 = 20_000_000;

/// Who heard of an end later than this after it is on a busy machine.
const LATE_NS: u64 = 5_000_000;

/// The end waits so long for them.
const LAST_NAMES: Duration = Duration::from_millis(50);

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
    watch.keep_orders(None);
    let ended = match ended {
        // Nobody reads any more: that is an end like another.
        Err(error) if is_closed_pipe(&error) => watch.end_capture(),
        other => other,
    };
    ended.map_err(TraceError::Run)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

struct Watch {
    live: Live,
    pipeline: Pipeline,
    capture: Option<Recorder>,
    /// `None` if there can be no thread for it.
    node: Option<Cache<ReadingThread>>,
    /// `None` if there can be no thread for it.
    lookup: Option<Lookup>,
    /// What creations were seen to need; `None` where it can't be kept.
    orders: Option<OrderStore>,
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
        exit_watchdog::start().context("could not watch over the end")?;
        let kernel = kernel::release()?;
        let page_size = kernel::page_size()?;
        let hierarchy = Hierarchy::read(Path::new("/"));
        let live = {
            let hierarchy = hierarchy.id;
            Live::start(Options { all: args.all, preference: args.attach, hierarchy })?
        };
        let header = header(&live, kernel, page_size, args.all);
        // With all rights that were given, before most are given back.
        let capture = args.record.as_deref().map(|path| Recorder::create(path, &header));
        let capture = capture.transpose()?;
        let orders = match OrderStore::open(Path::new("/")) {
            Ok(orders) => Some(orders),
            Err(error) => {
                log::debug!("the orders that creations need are not kept: {error}");
                None
            }
        };
        oom_protection::prepare();
        // With the right to read what other users may not; it keeps no other.
        let lookup = match Lookup::start(Path::new("/")) {
            Ok(lookup) => Some(lookup),
            Err(error) => {
                log::warn!("no container's name is told: no thread could be started: {error}");
                None
            }
        };
        if let Err(error) = privileges::give_back(|| live.loss().is_ok()) {
            log::warn!("could not give back capabilities that are not needed any more: {error}");
        }
        let node = match ReadingThread::start() {
            Ok(thread) => Some(Cache::new(thread)),
            Err(error) => {
                log::warn!("the node's facts are not told: no thread could be started: {error}");
                None
            }
        };
        let pipeline =
            Pipeline::new(header, output::to_stdout(args.format)).live(clock::monotonic_ns);
        let mut watch =
            Self { live, pipeline, capture, node, lookup, orders, interrupt, terminate };
        // Those that are made from here on are seen to be made.
        for (id, path) in hierarchy.walk() {
            watch.enter(Entry::Cgroup { id, path })?;
        }
        Ok(watch)
    }

    async fn run(&mut self, duration: Option<Duration>) -> anyhow::Result<()> {
        self.pipeline.ready().context(REPORT)?;
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
                () = reader.gone() => return self.end_capture(),
                _ = tick.tick() => self.tick()?,
                () = std::future::ready(()), if more => {}
                () = arrived(self.lookup.as_ref()) => self.take_late_names()?,
                ready = self.live.wait() => ready.context("could not wait for the kernel's events")?,
            }
            more = self.take_some(BATCH)?;
        }
        self.live.detach();
        self.live.refresh_missed_runs();
        while self.take_some(BATCH)? {}
        self.wait_for_last_names()?;
        self.look_for_loss()?;
        let outside = self.live.outside().context(COUNTERS)?;
        self.enter(Entry::End { outside: Some(outside) })?;
        self.flush_capture();
        self.pipeline.summary().context(REPORT)
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        self.live.refresh_symbols();
        self.live.refresh_missed_runs();
        self.look_for_loss()?;
        if self.pipeline.needs_tick() {
            self.enter(Entry::Tick { time_ns: clock::monotonic_ns() })?;
        }
        self.flush_capture();
        self.keep_orders(Some(clock::monotonic_ns()));
        Ok(())
    }

    /// Takes at most so many pieces of evidence from the rings and tells what came of them. True if
    /// there may be more.
    fn take_some(&mut self, limit: usize) -> anyhow::Result<bool> {
        self.look_at_clock()?;
        for _ in 0..limit {
            exit_watchdog::step();
            match self.live.take() {
                Some(Ok(event)) => self.enter(Entry::Event(event))?,
                Some(Err(error)) => log::error!("{error}; it is left out"),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Keeps an entry and tells what it ends.
    fn enter(&mut self, entry: Entry) -> anyhow::Result<()> {
        if let (Some(orders), Entry::Event(event)) = (&mut self.orders, &entry) {
            orders.push(event);
        }
        if let Some(capture) = &mut self.capture {
            capture.write(&entry);
        }
        let stories = self.pipeline.apply(entry).context(REPORT)?;
        // One that is late already waits for nothing, and shares the processor with nobody that looks.
        let late = stories.iter().filter_map(Correlated::ended_ns).any(is_late);
        let asked = if late { HashSet::new() } else { self.ask_for_names(&stories) };
        let unasked = if late { self.pipeline.queries(&stories) } else { Vec::new() };
        if self.pipeline.wants_node(&stories)
            && let Some(facts) = self.refresh_node()
        {
            self.add(Entry::Node(facts))?;
        }
        self.wait_for_names(asked, &stories)?;
        self.pipeline.tell(stories).context(REPORT)?;
        if let Some(lookup) = &self.lookup {
            for query in unasked {
                lookup.ask(query);
            }
        }
        Ok(())
    }

    /// Keeps what belongs to an entry before.
    fn add(&mut self, entry: Entry) -> anyhow::Result<()> {
        if let Some(capture) = &mut self.capture {
            capture.write(&entry);
        }
        // It ends no story.
        self.pipeline.apply(entry).map(drop).context(REPORT)
    }

    /// Asks for the names of containers; returns what was asked.
    fn ask_for_names(&mut self, stories: &[Correlated]) -> HashSet<Query> {
        let Some(lookup) = &self.lookup else { return HashSet::new() };
        let asked: HashSet<Query> = self.pipeline.queries(stories).into_iter().collect();
        for query in &asked {
            lookup.ask(query.clone());
        }
        asked
    }

    /// Waits for the first reply to each query, as long as a report may be late for it.
    fn wait_for_names(
        &mut self,
        mut asked: HashSet<Query>,
        stories: &[Correlated],
    ) -> anyhow::Result<()> {
        let ended_ns = stories.iter().filter_map(Correlated::ended_ns).min().unwrap_or(0);
        let left_ns = (ended_ns + NAMES_WITHIN_NS).saturating_sub(clock::monotonic_ns());
        let until = std::time::Instant::now() + Duration::from_nanos(left_ns);
        while !asked.is_empty() {
            let Some(reply) = self.lookup.as_ref().and_then(|lookup| lookup.wait(until)) else {
                break;
            };
            // It may be one to a query of before.
            asked.remove(&reply.query);
            self.add(Entry::Reply { late: false, reply })?;
        }
        Ok(())
    }

    /// Takes replies that came when what they are about had been told.
    fn take_late_names(&mut self) -> anyhow::Result<()> {
        while let Some(reply) = self.lookup.as_ref().and_then(Lookup::try_answer) {
            self.add(Entry::Reply { late: true, reply })?;
        }
        Ok(())
    }

    /// Before the end, names that are still looked for.
    fn wait_for_last_names(&mut self) -> anyhow::Result<()> {
        let until = std::time::Instant::now() + LAST_NAMES;
        while let Some(reply) = self.lookup.as_ref().and_then(|lookup| lookup.wait(until)) {
            self.add(Entry::Reply { late: true, reply })?;
        }
        Ok(())
    }

    /// The node's facts, if it is time to read them.
    fn refresh_node(&mut self) -> Option<NodeFacts> {
        self.node.as_mut()?.refresh(clock::monotonic_ns())
    }

    /// Whether the time of day was set meanwhile, or the machine slept.
    fn look_at_clock(&mut self) -> anyhow::Result<()> {
        let realtime_offset_ns = clock::realtime_offset_ns();
        if realtime_offset_ns.abs_diff(self.pipeline.realtime_offset_ns()) > CLOCK_NOISE_NS {
            self.enter(Entry::Clock { realtime_offset_ns })?;
        }
        Ok(())
    }

    /// Not to be done for every event: while the kernel answers, it runs neither kprobes' nor
    /// tracepoints' programs on that CPU, so that a thread that preempts us there is not seen
    /// (`bpf_disable_instrumentation` in kernel/bpf/syscall.c). That is counted as a missed run.
    fn look_for_loss(&mut self) -> anyhow::Result<()> {
        let loss = self.live.loss().context(COUNTERS)?;
        if loss != self.pipeline.loss() {
            self.enter(Entry::Loss(loss))?;
        }
        Ok(())
    }

    /// At the end, `now_ns` is `None`.
    fn keep_orders(&mut self, now_ns: Option<u64>) {
        if let Some(orders) = &mut self.orders {
            orders.tick(now_ns);
        }
    }

    fn flush_capture(&mut self) {
        if let Some(capture) = &mut self.capture {
            capture.flush();
        }
    }

    /// Nobody reads the report any more. The capture ends as it should all the same.
    fn end_capture(&mut self) -> anyhow::Result<()> {
        if let Some(capture) = &mut self.capture {
            let outside = self.live.outside().context(COUNTERS)?;
            capture.write(&Entry::End { outside: Some(outside) });
            capture.flush();
        }
        Ok(())
    }
}

/// What a capture begins with.
fn header(live: &Live, kernel: String, page_size: u64, all: bool) -> Header {
    Header {
        format: entry::FORMAT.to_owned(),
        format_version: entry::FORMAT_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel,
        page_size,
        all,
        hooks: live.hooks.clone(),
        not_seen: live.not_seen.clone(),
        unobservable: unobservable(live),
        sees_failures: live.sees_failures(),
        realtime_offset_ns: clock::realtime_offset_ns(),
    }
}

/// What is missing on this kernel that a verdict would otherwise rest on.
fn unobservable(live: &Live) -> Vec<String> {
    let mut unobservable: Vec<String> = live
        .hooks
        .iter()
        .filter(|hook| hook.hook.bears_on_others())
        .filter_map(|hook| hook.not_seen.clone())
        .collect();
    if !live.knows_names() {
        unobservable.push("whether an interrupt made the allocation: names are hidden".to_owned());
    }
    unobservable
}

/// Whether what ended then waited for fragwatch's turn for so long that names are asked for afterwards.
fn is_late(ended_ns: u64) -> bool {
    clock::monotonic_ns().saturating_sub(ended_ns) > LATE_NS
}

/// Returns when a name has come that nobody waited for.
async fn arrived(names: Option<&Lookup>) {
    match names {
        Some(names) => names.arrived().await,
        None => std::future::pending().await,
    }
}

const REPORT: &str = "could not write the report to standard output";
const COUNTERS: &str = "could not read the kernel side's counters";

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
        Self(pipe.and_then(|fd| async_fd::watch(fd, Interest::ERROR).ok()))
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
