//! From what was seen to the report: the same way whether it is seen now or was kept in a capture.
mod names;

use std::io;

use jiff::tz::TimeZone;

use self::names::Names;
pub use self::names::Owner;
use crate::{
    cli::Format,
    clock,
    container::known::Question,
    creation::{Correlator, Creation, Incident, Outcome, Story},
    diagnose::{Case, diagnose},
    node::{NodeFacts, Reading},
    report::{Json, Loss, Ready, Report, Summary, Text, Told},
    source::capture::{Entry, Header},
};

/// Incidents outside creations that are told from one tick to the next. More would take the time
/// that creations need, and nobody could read them.
const MAX_INCIDENTS: u32 = 20;

/// Puts entries together and reports what came of them.
pub struct Telling {
    report: Box<dyn Report>,
    ready: Ready,
    correlator: Correlator,
    /// How many may be told until the next tick.
    incidents_left: u32,
    summary: Summary,
    /// What no verdict can rest on there, in sentences.
    blind_to: Vec<String>,
    all: bool,
    page_size: u64,
    ahead_ns: i64,
    /// What was read of the node last.
    node: Option<NodeFacts>,
    names: Names,
    /// It is told as it happens, so that being late means something.
    live: bool,
}

impl Telling {
    /// Tells to `report` what is seen on the machine of this header.
    pub fn new(header: Header, report: Box<dyn Report>) -> Self {
        Self {
            report,
            correlator: Correlator::new(!header.sees_failures, header.all),
            ready: Ready { kernel: header.kernel, hooks: header.hooks, not_seen: header.not_seen },
            incidents_left: MAX_INCIDENTS,
            summary: Summary::default(),
            blind_to: header.blind_to,
            all: header.all,
            page_size: header.page_size,
            ahead_ns: header.ahead_ns,
            node: None,
            names: Names::default(),
            live: false,
        }
    }

    /// It is told as it happens: the summary says how late reports were.
    #[must_use]
    pub fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// Tells what is watched.
    pub fn ready(&mut self) -> io::Result<()> {
        self.report.ready(&self.ready)
    }

    /// Takes an entry; returns the stories that end with it, for [`Telling::tell`].
    pub fn apply(&mut self, entry: Entry) -> io::Result<Vec<Story>> {
        match entry {
            Entry::Evidence(evidence) => return Ok(self.correlator.push(evidence)),
            Entry::Clock { ahead_ns } => self.ahead_ns = ahead_ns,
            Entry::Node(facts) => self.node = Some(facts),
            Entry::Cgroup { id, path } => self.correlator.cgroups().insert(id, &path, None),
            Entry::Answer { answer, .. } => {
                for owner in self.names.answer(answer) {
                    let ended = clock::time_of_day(owner.ended_ns, self.ahead_ns);
                    self.report.owner(ended, &owner)?;
                }
            }
            Entry::Tick { time_ns } => {
                self.incidents_left = MAX_INCIDENTS;
                return Ok(self.correlator.flush_outside(Some(time_ns)));
            }
            Entry::Loss(loss) => {
                self.summary.loss = loss;
                self.report.loss(&loss)?;
            }
            Entry::End { outside } => {
                self.summary.outside = outside;
                return Ok(self.correlator.flush_outside(None));
            }
        }
        Ok(Vec::new())
    }

    /// Reports stories.
    pub fn tell(&mut self, stories: Vec<Story>) -> io::Result<()> {
        for story in stories {
            match story {
                Story::Creation(creation) => self.tell_creation(*creation)?,
                // Kills and refused forks outside creations come unasked.
                Story::Incident(incident) if self.all => self.tell_incident(&incident)?,
                Story::Incident(_) => {}
            }
        }
        Ok(())
    }

    /// Reports the totals, after all else.
    pub fn summary(&mut self) -> io::Result<()> {
        self.summary.unfinished = self.correlator.unfinished();
        self.report.summary(&self.summary)
    }

    /// Whether the node's facts are wanted beside one of these.
    pub fn wants_node(&self, stories: &[Story]) -> bool {
        stories.iter().any(|story| match story {
            Story::Creation(creation) => creation.outcome() != Outcome::Ok,
            Story::Incident(_) => self.all && self.incidents_left != 0,
        })
    }

    /// What is to be asked about the containers of these.
    pub fn questions(&self, stories: &[Story]) -> Vec<Question> {
        let of = |story: &Story| match story {
            Story::Creation(creation) if self.is_told(creation) => {
                self.names.questions(creation, self.ahead_ns)
            }
            Story::Creation(_) | Story::Incident(_) => Vec::new(),
        };
        stories.iter().flat_map(of).collect()
    }

    /// Whether anybody wants to hear of it.
    fn is_told(&self, creation: &Creation) -> bool {
        self.all || creation.outcome() != Outcome::Ok
    }

    /// What was lost, as it was told last.
    pub fn loss(&self) -> Loss {
        self.summary.loss
    }

    /// How far the time of day is taken to be ahead of `CLOCK_MONOTONIC`, in nanoseconds.
    pub fn ahead_ns(&self) -> i64 {
        self.ahead_ns
    }

    /// Whether a tick would change anything.
    pub fn needs_tick(&self) -> bool {
        self.incidents_left != MAX_INCIDENTS || self.correlator.follows_outside()
    }

    /// An entry is missing that may have been about any creation under way.
    pub fn lose(&mut self) {
        self.correlator.lose();
    }

    fn tell_creation(&mut self, mut creation: Creation) -> io::Result<()> {
        if self.is_told(&creation) {
            self.names.name(&mut creation, self.ahead_ns);
        }
        let creation = &creation;
        let outcome = creation.outcome();
        let trouble = outcome != Outcome::Ok;
        let node = self.node.as_ref().filter(|_| trouble);
        let node = node.and_then(|facts| Reading::of(facts, creation.ended_ns));
        let case = || Case::creation(creation, &self.blind_to).with_node(node);
        let verdict = trouble.then(|| diagnose(&case(), self.page_size));
        if creation.goes_on.is_none() {
            self.summary.count(outcome, verdict.as_ref());
        }
        if !self.is_told(creation) {
            return Ok(());
        }
        let time = clock::time_of_day(creation.ended_ns, self.ahead_ns);
        self.report.creation(Told { time, what: creation, verdict: verdict.as_ref(), node })?;
        if self.live {
            let late_us = clock::monotonic_ns().saturating_sub(creation.ended_ns) / 1000;
            self.summary.slowest_report_us = self.summary.slowest_report_us.max(Some(late_us));
        }
        Ok(())
    }

    fn tell_incident(&mut self, incident: &Incident) -> io::Result<()> {
        if self.incidents_left == 0 {
            self.summary.incidents_omitted += 1;
            return Ok(());
        }
        self.incidents_left -= 1;
        self.summary.incidents += 1;
        let node = self.node.as_ref().and_then(|facts| Reading::of(facts, incident.time_ns));
        let case = Case::incident(incident, &self.blind_to).with_node(node);
        let verdict = diagnose(&case, self.page_size);
        let time = clock::time_of_day(incident.time_ns, self.ahead_ns);
        self.report.incident(Told { time, what: incident, verdict: Some(&verdict), node })
    }
}

/// The report on standard output.
pub fn to_stdout(format: Format, page_size: u64) -> Box<dyn Report> {
    match format {
        Format::Text => Box::new(Text::new(anstream::stdout(), page_size, TimeZone::system())),
        Format::Json => Box::new(Json::new(io::stdout(), page_size)),
    }
}
