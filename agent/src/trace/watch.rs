//! The event loop: takes events from the kernel, records and correlates them, and reports the result.
use std::{collections::HashSet, path::Path, time::Duration};

use anyhow::Context as _;
use fragwatch_core::{
    model::{
        entry::{Entry, Header},
        identity::Query,
        node::NodeFacts,
    },
    pipeline::Pipeline,
    report::Format,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    hook::Preference,
    host::{
        clock, exit_watchdog,
        hierarchy::Hierarchy,
        node::{Cache, ReadingThread},
        oom_protection,
        orders::OrderStore,
        privileges,
    },
    kernel,
    live::{Live, Options},
    trace::{consumer::Consumer, header::header, names::Names, stdout::StdoutMonitor},
};

/// Period of checks for lost events, of ticks for the correlation and of flushes of the capture.
const TICK: Duration = Duration::from_secs(1);

/// Every how many ticks the kernel is asked for missed runs: for each program it is a file to read.
const MISSED_RUNS_TICKS: u32 = 10;

/// A smaller change of the offset between the two clocks is the noise of reading them one after the
/// other.
const CLOCK_NOISE_NS: u64 = 1_000_000;

/// Events that are taken before signals and timers are polled again.
const BATCH: usize = 1024;

const REPORT: &str = "could not write the report to standard output";
const COUNTERS: &str = "could not read the eBPF programs' counters";

/// What `trace` and `serve` choose.
pub(crate) struct Setup {
    /// Report every creation, and what happens outside creations.
    pub(crate) all: bool,
    /// Receive events of creations without trouble too, which else are only counted.
    pub(crate) untroubled: bool,
    /// How to attach.
    pub(crate) attach: Preference,
    /// Where the report goes.
    pub(crate) report: Box<dyn Format>,
    /// Ends the loop when stdout is closed.
    pub(crate) stdout: StdoutMonitor,
}

pub(crate) struct Watch {
    live: Live,
    pipeline: Pipeline,
    consumer: Box<dyn Consumer>,
    stdout: StdoutMonitor,
    /// `None` if its thread could not be started.
    node: Option<Cache<ReadingThread>>,
    names: Names,
    /// Orders that creations needed; `None` if their file can't be opened.
    orders: Option<OrderStore>,
    interrupt: Signal,
    terminate: Signal,
    ticks: u32,
}

impl Watch {
    /// Attaches the programs. `consumer` is made once that is done, with all capabilities still there.
    pub(crate) fn start(
        setup: Setup,
        consumer: impl FnOnce(&Header, &Live) -> anyhow::Result<Box<dyn Consumer>>,
    ) -> anyhow::Result<Self> {
        privileges::check()?;
        privileges::own_proc_files();
        // Before attaching, so that a signal meanwhile ends the trace normally.
        let interrupt = signal(SignalKind::interrupt()).context("could not wait for SIGINT")?;
        let terminate = signal(SignalKind::terminate()).context("could not wait for SIGTERM")?;
        exit_watchdog::start().context("could not start the exit watchdog")?;
        let kernel = kernel::release()?;
        let page_size = kernel::page_size()?;
        let hierarchy = Hierarchy::read(Path::new("/"));
        let live = Live::start(Options {
            all: setup.all,
            untroubled: setup.untroubled,
            preference: setup.attach,
            hierarchy: hierarchy.id,
        })?;
        let header = header(&live, kernel, page_size, setup.all);
        // Files are opened before capabilities are given up.
        let consumer = consumer(&header, &live)?;
        let orders = match OrderStore::open(Path::new("/")) {
            Ok(orders) => Some(orders),
            Err(error) => {
                log::debug!("the orders that creations need are not kept: {error}");
                None
            }
        };
        oom_protection::prepare();
        // Also before, because the lookup thread keeps the capability to read others' files.
        let names = Names::start();
        if let Err(error) = privileges::drop_unneeded(|| live.loss().is_ok()) {
            log::warn!("could not give up capabilities that are not needed any more: {error}");
        }
        let node = match ReadingThread::start() {
            Ok(thread) => Some(Cache::new(thread)),
            Err(error) => {
                log::warn!("reports lack the node's facts: could not start a thread: {error}");
                None
            }
        };
        let pipeline = Pipeline::new(header, setup.report).live(clock::monotonic_ns);
        let mut watch = Self {
            live,
            pipeline,
            consumer,
            stdout: setup.stdout,
            node,
            names,
            orders,
            interrupt,
            terminate,
            ticks: 0,
        };
        // The hooks are attached, so cgroups that are created from now on are seen as events.
        for (id, path) in hierarchy.walk() {
            watch.process(Entry::Cgroup { id, path })?;
        }
        Ok(watch)
    }

    /// How many hooks are attached.
    pub(crate) fn attached_hooks(&self) -> usize {
        self.live.hooks.iter().filter(|hook| hook.via.is_some()).count()
    }

    pub(crate) async fn run(&mut self, duration: Option<Duration>) -> anyhow::Result<()> {
        self.pipeline.ready().context(REPORT)?;
        let end = duration.and_then(|d| Instant::now().checked_add(d));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut more = false;
        loop {
            tokio::select! {
                // In this order, so that a flood of events can't delay the end.
                biased;
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                () = sleep_until_some(end) => break,
                () = self.stdout.closed() => return self.finish_capture(),
                _ = tick.tick() => self.tick()?,
                () = std::future::ready(()), if more => {}
                () = self.names.replied() => self.take_late_replies()?,
                ready = self.live.wait() => ready.context("could not wait for the kernel's events")?,
            }
            more = self.take_events(BATCH)?;
        }
        // Before the programs are detached one by one: meanwhile what began has no end, which is no loss.
        self.live.refresh_missed_runs();
        self.update_loss()?;
        let end = self.end()?;
        self.live.detach();
        while self.take_events(BATCH)? {}
        for reply in self.names.final_replies() {
            self.add(Entry::Reply { late: true, reply })?;
        }
        self.process(end)?;
        self.consumer.tick(&self.live);
        self.pipeline.summary().context(REPORT)?;
        self.consumer.end();
        Ok(())
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        self.live.refresh_symbols();
        if self.ticks.is_multiple_of(MISSED_RUNS_TICKS) {
            self.live.refresh_missed_runs();
        }
        self.ticks = self.ticks.wrapping_add(1);
        self.update_loss()?;
        if self.pipeline.needs_tick() {
            self.process(Entry::Tick { time_ns: clock::monotonic_ns() })?;
        }
        self.consumer.tick(&self.live);
        self.write_orders(Some(clock::monotonic_ns()));
        Ok(())
    }

    /// Takes at most `limit` events from the ring buffers. True if there may be more.
    fn take_events(&mut self, limit: usize) -> anyhow::Result<bool> {
        self.update_clock()?;
        for _ in 0..limit {
            exit_watchdog::step();
            match self.live.take() {
                Some(Ok(event)) => self.process(Entry::Event(event))?,
                Some(Err(error)) => log::error!("{error}; it is ignored"),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Records an entry, correlates it and reports what it completes.
    fn process(&mut self, entry: Entry) -> anyhow::Result<()> {
        if let (Some(orders), Entry::Event(event)) = (&mut self.orders, &entry) {
            orders.push(event);
        }
        self.consumer.entry(&entry);
        let correlated = self.pipeline.apply(entry).context(REPORT)?;
        let queries: HashSet<Query> = self.pipeline.queries(&correlated).into_iter().collect();
        let overloaded = Names::is_overloaded(&correlated);
        if !overloaded {
            // Before the node's facts are read, so that both happen at the same time.
            self.names.send(&queries);
        }
        if self.pipeline.wants_node(&correlated)
            && let Some(facts) = self.refresh_node()
        {
            self.add(Entry::Node(facts))?;
        }
        if !overloaded {
            for reply in self.names.wait_for(&queries, &correlated) {
                self.add(Entry::Reply { late: false, reply })?;
            }
        }
        self.consumer.correlated(&correlated);
        self.pipeline.report(correlated).context(REPORT)?;
        if overloaded {
            self.names.send(&queries);
        }
        Ok(())
    }

    /// Records and applies an entry that completes nothing.
    fn add(&mut self, entry: Entry) -> anyhow::Result<()> {
        self.consumer.entry(&entry);
        self.pipeline.apply(entry).map(drop).context(REPORT)
    }

    /// Takes replies that arrived after the report.
    fn take_late_replies(&mut self) -> anyhow::Result<()> {
        while let Some(reply) = self.names.try_reply() {
            self.add(Entry::Reply { late: true, reply })?;
        }
        Ok(())
    }

    /// The node's facts, if those of the last read are too old.
    fn refresh_node(&mut self) -> Option<NodeFacts> {
        self.node.as_mut()?.refresh(clock::monotonic_ns())
    }

    /// Notices when the time of day was set or the machine was suspended.
    fn update_clock(&mut self) -> anyhow::Result<()> {
        let realtime_offset_ns = clock::realtime_offset_ns();
        if realtime_offset_ns.abs_diff(self.pipeline.realtime_offset_ns()) > CLOCK_NOISE_NS {
            self.process(Entry::Clock { realtime_offset_ns })?;
        }
        Ok(())
    }

    /// Must not run for every event: while the kernel reads a map for us, it runs no kprobe or
    /// tracepoint program on that CPU, so that events of a thread that preempts us are missed
    /// (`bpf_disable_instrumentation` in kernel/bpf/syscall.c). They are counted as missed runs.
    fn update_loss(&mut self) -> anyhow::Result<()> {
        let loss = self.live.loss().context(COUNTERS)?;
        if loss != self.pipeline.loss() {
            self.process(Entry::Loss(loss))?;
        }
        Ok(())
    }

    /// Writes the needed orders if that is due; in any case at the end (`None`).
    pub(crate) fn write_orders(&mut self, now_ns: Option<u64>) {
        if let Some(orders) = &mut self.orders {
            orders.tick(now_ns);
        }
    }

    /// Ends the capture without a summary, after stdout was closed.
    pub(crate) fn finish_capture(&mut self) -> anyhow::Result<()> {
        let end = self.end()?;
        self.consumer.entry(&end);
        self.consumer.tick(&self.live);
        Ok(())
    }

    /// What the kernel side counted until now.
    fn end(&self) -> anyhow::Result<Entry> {
        let outside = self.live.outside().context(COUNTERS)?;
        let creations = self.live.creations().context(COUNTERS)?;
        Ok(Entry::End { outside: Some(outside), creations: Some(creations) })
    }
}

async fn sleep_until_some(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
