//! From an event to its report. What other threads are asked for is waited for in the loop, which goes on
//! to empty the rings meanwhile; entries behind a report that waits keep their order.
use std::{collections::HashSet, mem, thread, time::Duration};

use anyhow::Context as _;
use fragwatch_core::model::{entry::Entry, identity::Query, loss::Loss};
use tokio::time::Instant;

use crate::{
    host::{clock, exit_watchdog},
    trace::watch::{
        REPORT, Watch,
        waiting::{Stages, Taken, Waiting},
    },
};

/// Entries that may wait behind a report; beyond that events stay in their rings.
const MAX_BACKLOG: usize = 16 << 10;

/// A smaller change of the offset between the two clocks is the noise of reading them one after the
/// other.
const CLOCK_NOISE_NS: u64 = 1_000_000;

impl Watch {
    /// Takes at most `limit` events from the ring buffers. True if there may be more.
    pub(super) fn take_events(&mut self, limit: usize) -> anyhow::Result<bool> {
        self.update_clock();
        for _ in 0..limit {
            if self.backlog.len() >= MAX_BACKLOG {
                return Ok(false);
            }
            exit_watchdog::step();
            let began_ns = clock::monotonic_ns();
            match self.live.take() {
                Some(Ok(event)) => {
                    let entry = Entry::Event(event);
                    let decoded_ns = clock::monotonic_ns();
                    self.backlog.push_back(Taken { entry, began_ns, decoded_ns });
                    // Most complete nothing.
                    self.advance()?;
                }
                Some(Err(error)) => log::error!("{error}; it is ignored"),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Adds an entry that comes from no ring.
    pub(super) fn push(&mut self, entry: Entry) {
        let now_ns = clock::monotonic_ns();
        self.backlog.push_back(Taken { entry, began_ns: now_ns, decoded_ns: now_ns });
    }

    /// Reports what is due, and processes entries until one completes something that has to wait.
    pub(super) fn advance(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(waiting) = &self.waiting
                && !waiting.is_due(clock::monotonic_ns())
            {
                return Ok(());
            }
            if let Some(waiting) = self.waiting.take() {
                self.report(waiting)?;
            }
            let Some(taken) = self.backlog.pop_front() else { return Ok(()) };
            self.process(taken)?;
        }
    }

    /// When the report that waits is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.as_ref()?;
        let left_ns = waiting.deadline_ns.saturating_sub(clock::monotonic_ns());
        Some(Instant::now() + Duration::from_nanos(left_ns))
    }

    /// Processes all of the backlog at the end of a trace, waiting as long as reports may wait.
    pub(super) fn finish_backlog(&mut self) -> anyhow::Result<()> {
        self.advance()?;
        while self.waiting.is_some() {
            exit_watchdog::step();
            thread::sleep(Duration::from_millis(1));
            self.take_answers()?;
            self.advance()?;
        }
        Ok(())
    }

    /// Takes what other threads have answered: for the report that waits, else replies that come late.
    pub(super) fn take_answers(&mut self) -> anyhow::Result<()> {
        while let Some(reply) = self.names.try_reply() {
            let late = self.waiting.is_none();
            if let Some(waiting) = &mut self.waiting {
                waiting.queries.remove(&reply.query);
                waiting.stages.names = clock::monotonic_ns();
            }
            self.add(Entry::Reply { late, reply })?;
        }
        if self.waiting.as_ref().is_some_and(|waiting| waiting.facts)
            && self.take_facts()?
            && let Some(waiting) = &mut self.waiting
        {
            waiting.facts = false;
            waiting.stages.facts = clock::monotonic_ns();
        }
        Ok(())
    }

    /// Adds the node's facts if they have arrived. True if they have. A capture holds them for the report
    /// that follows, so others than it may not take them.
    fn take_facts(&mut self) -> anyhow::Result<bool> {
        let facts = self.node.as_mut().and_then(|node| node.take(clock::monotonic_ns()));
        let Some(facts) = facts else { return Ok(false) };
        self.add(Entry::Node(facts))?;
        Ok(true)
    }

    /// Records an entry and correlates it. What that completes waits, if only for [`Watch::advance`].
    fn process(&mut self, taken: Taken) -> anyhow::Result<()> {
        let Taken { entry, began_ns, decoded_ns } = taken;
        if let (Some(orders), Entry::Event(event)) = (&mut self.orders, &entry) {
            orders.push(event);
        }
        self.consumer.entry(&entry);
        let correlated = self.pipeline.apply(entry).context(REPORT)?;
        if correlated.is_empty() {
            return Ok(());
        }
        let now_ns = clock::monotonic_ns();
        let stages = Stages {
            began: began_ns,
            decoded: decoded_ns,
            correlated: now_ns,
            ..Stages::default()
        };
        let mut waiting = Waiting::new(correlated, stages);
        if !waiting.is_late() {
            // Before the node's facts are requested, so that both are read at the same time.
            let queries = self.queries(&waiting);
            self.names.send(&queries);
            waiting.wait_for_names(queries);
        }
        if self.pipeline.wants_node(&waiting.correlated)
            && !self.take_facts()?
            && self.node.as_mut().is_some_and(|node| node.request(now_ns))
        {
            waiting.wait_for_facts();
        }
        self.waiting = Some(waiting);
        Ok(())
    }

    fn queries(&mut self, waiting: &Waiting) -> HashSet<Query> {
        self.pipeline.queries(&waiting.correlated).into_iter().collect()
    }

    fn report(&mut self, mut waiting: Waiting) -> anyhow::Result<()> {
        waiting.stages.due = clock::monotonic_ns();
        let unsent = if waiting.is_late() { self.queries(&waiting) } else { HashSet::new() };
        let is_trouble = self.pipeline.wants_node(&waiting.correlated);
        self.consumer.correlated(&waiting.correlated);
        self.pipeline.report(mem::take(&mut waiting.correlated)).context(REPORT)?;
        if is_trouble {
            waiting.log_stages(clock::monotonic_ns());
        }
        self.names.send(&unsent);
        Ok(())
    }

    /// Records and applies an entry that completes nothing.
    pub(super) fn add(&mut self, entry: Entry) -> anyhow::Result<()> {
        self.consumer.entry(&entry);
        self.pipeline.apply(entry).map(drop).context(REPORT)
    }

    /// Notices when the time of day was set or the machine was suspended.
    fn update_clock(&mut self) {
        // One that waits in the backlog is not to be added again.
        if self.waiting.is_some() {
            return;
        }
        let realtime_offset_ns = clock::realtime_offset_ns();
        if realtime_offset_ns.abs_diff(self.pipeline.realtime_offset_ns()) > CLOCK_NOISE_NS {
            self.push(Entry::Clock { realtime_offset_ns });
        }
    }

    /// Counters must not be read for every event: while the kernel reads a map for us, it runs no kprobe or
    /// tracepoint program on that CPU, so that events of a thread that preempts us are missed
    /// (`bpf_disable_instrumentation` in kernel/bpf/syscall.c). They are counted as missed runs.
    pub(super) fn update_loss(&mut self, loss: Loss) {
        if loss != self.pipeline.loss() {
            self.push(Entry::Loss(loss));
        }
    }
}
