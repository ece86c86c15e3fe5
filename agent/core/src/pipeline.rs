//! From what was seen to the report: the same way whether it is seen now or was kept in a capture.

use std::io;

use crate::{
    attribution::late::Attributions,
    clock,
    correlate::{Correlated, Correlator},
    diagnose::{Evidence, diagnose},
    model::{
        entry::{Entry, Header},
        identity::Query,
        incident::{Incident, Source},
        loss::Loss,
        node::{NodeFacts, Reading},
        step::{CreationStep, Outcome},
    },
    report::{
        Format,
        line::{
            Line,
            summary::{Summary, Watched},
        },
        view::{self, View},
    },
};

/// Incidents outside creations that are told from one tick to the next. More would take the time
/// that creations need, and nobody could read them.
const MAX_INCIDENTS: u32 = 20;

/// Puts entries together and reports what came of them.
pub struct Pipeline {
    report: Box<dyn Format>,
    view: View,
    /// What is watched.
    ready: Line,
    correlator: Correlator,
    /// How many may be told until the next tick.
    incidents_left: u32,
    summary: Summary,
    watched: Watched,
    loss: Loss,
    /// What no verdict can rest on there, in sentences.
    unobservable: Vec<String>,
    all: bool,
    page_size: u64,
    realtime_offset_ns: i64,
    /// What was read of the node last.
    node: Option<NodeFacts>,
    names: Attributions,
    /// It is told as it happens, so that being late means something.
    /// Reads `CLOCK_MONOTONIC` in nanoseconds.
    live: Option<fn() -> u64>,
}

impl Pipeline {
    /// Tells to `report` what is seen on the machine of this header.
    pub fn new(header: Header, report: Box<dyn Format>) -> Self {
        let view = View::new(header.kernel, header.page_size, &header.hooks);
        Self {
            report,
            correlator: Correlator::new(!header.sees_failures, header.all, header.page_size),
            ready: view.ready(&header.hooks, &header.not_seen),
            view,
            incidents_left: MAX_INCIDENTS,
            summary: Summary::default(),
            watched: Watched::default(),
            loss: Loss::default(),
            unobservable: header.unobservable,
            all: header.all,
            page_size: header.page_size,
            realtime_offset_ns: header.realtime_offset_ns,
            node: None,
            names: Attributions::default(),
            live: None,
        }
    }

    /// It is reported as it happens: the summary says how late reports were. `now_ns` reads
    /// `CLOCK_MONOTONIC` in nanoseconds.
    #[must_use]
    pub fn live(self, now_ns: fn() -> u64) -> Self {
        Self { live: Some(now_ns), ..self }
    }

    /// Tells what is watched.
    pub fn ready(&mut self) -> io::Result<()> {
        self.report.line(&self.ready)
    }

    /// Takes an entry; returns the stories that end with it, for [`Pipeline::report`].
    pub fn apply(&mut self, entry: Entry) -> io::Result<Vec<Correlated>> {
        match entry {
            Entry::Event(event) => return Ok(self.correlator.push(event)),
            Entry::Clock { realtime_offset_ns } => self.realtime_offset_ns = realtime_offset_ns,
            Entry::Node(facts) => self.node = Some(facts),
            Entry::Cgroup { id, path } => self.correlator.cgroups().insert(id, &path, None),
            Entry::Reply { reply, .. } => {
                for owner in self.names.reply(reply) {
                    let ended = clock::time_of_day(owner.ended_ns, self.realtime_offset_ns);
                    self.report.line(&view::late_container(ended, &owner))?;
                }
            }
            Entry::Tick { time_ns } => {
                self.incidents_left = MAX_INCIDENTS;
                return Ok(self.correlator.flush_outside(Some(time_ns)));
            }
            Entry::Loss(loss) => {
                self.loss = loss;
                self.report.line(&view::loss(&loss))?;
            }
            Entry::End { outside } => {
                self.watched.outside = outside.map(view::outside);
                return Ok(self.correlator.flush_outside(None));
            }
        }
        Ok(Vec::new())
    }

    /// Reports stories.
    pub fn report(&mut self, stories: Vec<Correlated>) -> io::Result<()> {
        for story in stories {
            match story {
                Correlated::CreationStep(creation) => self.tell_creation(*creation)?,
                // Kills and refused forks outside creations come unasked.
                Correlated::Incident(incident) if self.all => self.tell_incident(&incident)?,
                Correlated::Incident(_) => {}
            }
        }
        Ok(())
    }

    /// Reports the totals, after all else.
    pub fn summary(&mut self) -> io::Result<()> {
        self.watched.creations.unfinished = self.correlator.unfinished();
        self.watched.lost = self.loss.total();
        let watched = Some(self.watched.clone());
        self.report.line(&Line::Summary(Summary { watched, ..self.summary.clone() }))
    }

    /// Whether the node's facts are wanted beside one of these.
    pub fn wants_node(&self, stories: &[Correlated]) -> bool {
        stories.iter().any(|story| match story {
            Correlated::CreationStep(creation) => creation.outcome() != Outcome::Ok,
            Correlated::Incident(_) => self.all && self.incidents_left != 0,
        })
    }

    /// What is to be asked about the containers of these.
    pub fn queries(&self, stories: &[Correlated]) -> Vec<Query> {
        let of = |story: &Correlated| match story {
            Correlated::CreationStep(creation) if self.is_told(creation) => {
                self.names.queries(creation, self.realtime_offset_ns)
            }
            Correlated::CreationStep(_) | Correlated::Incident(_) => Vec::new(),
        };
        stories.iter().flat_map(of).collect()
    }

    /// Whether anybody wants to hear of it.
    fn is_told(&self, creation: &CreationStep) -> bool {
        self.all || creation.outcome() != Outcome::Ok
    }

    /// What was lost, as it was told last.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// How far the time of day is taken to be ahead of `CLOCK_MONOTONIC`, in nanoseconds.
    pub fn realtime_offset_ns(&self) -> i64 {
        self.realtime_offset_ns
    }

    /// Whether a tick would change anything.
    pub fn needs_tick(&self) -> bool {
        self.incidents_left != MAX_INCIDENTS || self.correlator.follows_outside()
    }

    /// An entry is missing that may have been about any creation under way.
    pub fn lose(&mut self) {
        self.correlator.lose();
    }

    fn tell_creation(&mut self, mut creation: CreationStep) -> io::Result<()> {
        if self.is_told(&creation) {
            self.names.name(&mut creation, self.realtime_offset_ns);
        }
        let creation = &creation;
        let outcome = creation.outcome();
        let trouble = outcome != Outcome::Ok;
        let node = self.node.as_ref().filter(|_| trouble);
        let node = node.and_then(|facts| Reading::of(facts, creation.ended_ns));
        let evidence =
            || Evidence::step(creation, self.page_size, &self.unobservable).with_node(node);
        let verdict = trouble.then(|| diagnose(&evidence()));
        if creation.continues().is_none() {
            self.watched.creations.count(outcome);
            if let Some(verdict) = &verdict {
                self.summary.count_cause(verdict.cause);
            }
        }
        if !self.is_told(creation) {
            return Ok(());
        }
        let time = clock::time_of_day(creation.ended_ns, self.realtime_offset_ns);
        self.report.line(&self.view.creation(time, creation, verdict.as_ref(), node))?;
        if let Some(now_ns) = self.live {
            let late_us = now_ns().saturating_sub(creation.ended_ns) / 1000;
            self.watched.slowest_report_us = self.watched.slowest_report_us.max(Some(late_us));
        }
        Ok(())
    }

    fn tell_incident(&mut self, incident: &Incident) -> io::Result<()> {
        if self.incidents_left == 0 {
            self.watched.incidents_omitted += 1;
            return Ok(());
        }
        self.incidents_left -= 1;
        self.summary.incidents += 1;
        let Source::Live { time_ns } = incident.source else { return Ok(()) };
        let node = self.node.as_ref().and_then(|facts| Reading::of(facts, time_ns));
        let evidence = Evidence::incident(incident, &self.unobservable).with_node(node);
        let verdict = diagnose(&evidence);
        let time = clock::time_of_day(time_ns, self.realtime_offset_ns);
        self.report.line(&self.view.incident(time, incident, &verdict, node))
    }
}
