//! The event loop: waits for the kernel's events, for answers of other threads, for signals and timers.
mod process;
mod rehearsal;
mod waiting;

use std::{collections::VecDeque, path::Path, time::Duration};

use anyhow::Context as _;
use fragwatch_core::{
    model::entry::{Entry, Header},
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
        own_memory, privileges,
    },
    kernel,
    live::{Live, NamesRead, Options},
    trace::{
        consumer::Consumer,
        header::header,
        names::Names,
        stdout::StdoutMonitor,
        watch::waiting::{Taken, Waiting},
    },
};

/// Period of checks for lost events, of ticks for the correlation and of flushes of the capture.
const TICK: Duration = Duration::from_secs(1);

/// Events that are taken before signals and timers are polled again.
const BATCH: usize = 1024;

const REPORT: &str = "could not write the report to standard output";
const COUNTERS: &str = "could not read the eBPF programs' counters";

/// What `trace` and `serve` choose.
pub(crate) struct Setup {
    /// Report every creation, and what happens outside creations.
    pub(crate) all: bool,
    /// What waited for memory longer than this is reported.
    pub(crate) stall: Duration,
    /// Receive events of creations without trouble too, which else are only counted.
    pub(crate) untroubled: bool,
    /// Count allocations that took a block of another migratetype.
    pub(crate) fallbacks: bool,
    /// How to attach.
    pub(crate) attach: Preference,
    /// Where the report goes.
    pub(crate) report: Box<dyn Format>,
    /// The same to nowhere.
    pub(crate) rehearsal: Box<dyn Format>,
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
    /// What was taken and is not processed yet, because a report waits.
    backlog: VecDeque<Taken>,
    waiting: Option<Waiting>,
}

impl Watch {
    /// Attaches the programs. `consumer` is made once that is done, with all capabilities still there.
    pub(crate) fn start(
        setup: Setup,
        consumer: impl FnOnce(&Header, &Live) -> anyhow::Result<Box<dyn Consumer>>,
    ) -> anyhow::Result<Self> {
        privileges::check()?;
        own_memory::keep_small();
        privileges::own_proc_files();
        // Before attaching, so that a signal meanwhile ends the trace normally.
        let interrupt = signal(SignalKind::interrupt()).context("could not wait for SIGINT")?;
        let terminate = signal(SignalKind::terminate()).context("could not wait for SIGTERM")?;
        exit_watchdog::start().context("could not start the exit watchdog")?;
        let kernel = kernel::release()?;
        let page_size = kernel::page_size()?;
        let hierarchy = Hierarchy::read(Path::new("/"));
        let victim = oom_protection::be_first_victim();
        let live = Live::start(Options {
            all: setup.all,
            untroubled: setup.untroubled,
            fallbacks: setup.fallbacks,
            preference: setup.attach,
            names: NamesRead::Later,
            hierarchy: hierarchy.id,
        })?;
        let header = header(&live, kernel, page_size, setup.all, setup.stall);
        // Files are opened before capabilities are given up.
        let consumer = consumer(&header, &live)?;
        let orders = match OrderStore::open(Path::new("/")) {
            Ok(orders) => Some(orders),
            Err(error) => {
                log::debug!("the orders that creations need are not kept: {error}");
                None
            }
        };
        victim.protect();
        // Also before, because the lookup thread keeps the capability to read others' files.
        let names = Names::start();
        if let Err(error) = privileges::drop_unneeded(|| live.count().is_ok()) {
            log::warn!("could not give up capabilities that are not needed any more: {error}");
        }
        let node = match ReadingThread::start() {
            Ok(thread) => Some(Cache::new(thread)),
            Err(error) => {
                log::warn!("reports lack the node's facts: could not start a thread: {error}");
                None
            }
        };
        rehearsal::run(&header, setup.rehearsal).context(REPORT)?;
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
            backlog: VecDeque::new(),
            waiting: None,
        };
        // The hooks are attached, so cgroups that are created from now on are seen as events.
        hierarchy.walk(|id, path| {
            watch.push(Entry::Cgroup { id, path });
            // One by one: all together would take more memory than all else, for good.
            watch.advance()
        })?;
        own_memory::release_free();
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
            let deadline = self.deadline();
            tokio::select! {
                // In this order, so that a flood of events can't delay the end.
                biased;
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                () = sleep_until_some(end) => break,
                () = self.stdout.closed() => return self.finish_capture(),
                _ = tick.tick() => self.tick(),
                () = std::future::ready(()), if more => {}
                () = self.names.replied() => {}
                () = facts_arrived(self.node.as_ref()) => {}
                () = sleep_until_some(deadline) => {}
                ready = self.live.wait() => ready.context("could not wait for the kernel's events")?,
            }
            self.take_answers()?;
            more = self.take_events(BATCH)?;
            self.advance()?;
        }
        self.consumer.ending();
        // Now, because the kernel takes seconds to detach; what is left of a flood comes after that.
        self.take_events(BATCH)?;
        self.finish_backlog()?;
        // Before the programs are detached one by one: meanwhile what began has no end, which is no loss.
        let end = self.end()?;
        self.push_open(true);
        let loss = self.live.loss();
        exit_watchdog::while_detaching(|| self.live.detach());
        while self.take_events(BATCH)? {
            self.advance()?;
        }
        self.finish_backlog()?;
        for reply in self.names.final_replies() {
            self.add(Entry::Reply { late: true, reply })?;
        }
        self.update_loss(loss);
        self.push_repeats(true);
        self.push(end);
        self.finish_backlog()?;
        self.consumer.tick(&self.live);
        self.pipeline.summary().context(REPORT)?;
        self.consumer.end();
        Ok(())
    }

    fn tick(&mut self) {
        self.live.forget_symbols();
        for status in self.live.newly_detached() {
            self.push(Entry::Detached(status));
        }
        self.update_loss(self.live.loss());
        self.push_repeats(false);
        self.push_open(false);
        if self.pipeline.needs_tick() {
            self.push(Entry::Tick { time_ns: clock::monotonic_ns() });
        }
        self.consumer.tick(&self.live);
        self.write_orders(Some(clock::monotonic_ns()));
    }

    /// Adds steps of creations that the kernel side only counted; `last` at the end.
    fn push_repeats(&mut self, last: bool) {
        let time_ns = clock::monotonic_ns();
        let repeats = self.live.repeats(time_ns, last);
        if !repeats.is_empty() {
            self.push(Entry::Repeats { time_ns, repeats });
        }
    }

    /// Adds creations that have not ended, if some may have been under way for long; `last` at the end.
    fn push_open(&mut self, last: bool) {
        let time_ns = clock::monotonic_ns();
        let long = self.pipeline.has_long(time_ns);
        match self.live.open_creations(time_ns, long, last) {
            Ok(Some(creations)) => self.push(Entry::Open { time_ns, creations }),
            Ok(None) => {}
            Err(error) => log::warn!("creations that don't end could not be looked for: {error:#}"),
        }
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
        self.live.count().context(COUNTERS)?;
        let (outside, creations) = (self.live.outside(), self.live.creations());
        Ok(Entry::End { outside: Some(outside), creations: Some(creations) })
    }
}

/// Resolves when the node's facts may have arrived; never without their thread.
async fn facts_arrived(node: Option<&Cache<ReadingThread>>) {
    match node {
        Some(node) => node.arrived().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until_some(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
