//! The pipeline from entries to the report, the same for a live trace and a capture.

mod incidents_left;

use std::io;

use self::incidents_left::IncidentsLeft;
use crate::{
    attribution::late::Attributions,
    clock,
    correlate::{Correlated, Correlator, RESTARTS},
    diagnose::{Evidence, diagnose},
    model::{
        entry::{Entry, Header},
        hook::{Hook, HookStatus},
        identity::Query,
        incident::{Incident, Source},
        kernel_version::KernelVersion,
        loss::Loss,
        node::{NodeFacts, Reading},
        recording::{Recording, Recordings},
        repeats::Repeats,
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

/// Correlates entries, diagnoses what they complete, and reports it.
pub struct Pipeline {
    report: Box<dyn Format>,
    view: View,
    hooks: Vec<HookStatus>,
    /// What can't be seen for other reasons than a missing hook, in sentences.
    not_seen: Vec<String>,
    correlator: Correlator,
    incidents_left: IncidentsLeft,
    summary: Summary,
    watched: Watched,
    loss: Loss,
    /// What can't be observed on this kernel although verdicts use it, in sentences.
    unobservable: Vec<String>,
    all: bool,
    page_size: u64,
    kernel: Option<KernelVersion>,
    realtime_offset_ns: i64,
    /// The node's facts, as last read.
    node: Option<NodeFacts>,
    names: Attributions,
    recordings: Recordings,
    /// Reads `CLOCK_MONOTONIC` in nanoseconds; `None` for a capture, whose reports have no latency.
    live: Option<fn() -> u64>,
}

impl Pipeline {
    /// A pipeline that writes to `report`, for the machine and kernel of `header`.
    pub fn new(header: Header, report: Box<dyn Format>) -> Self {
        let kernel = header.kernel.parse().ok();
        let view = View::new(header.kernel, header.page_size, &header.hooks);
        Self {
            report,
            correlator: Correlator::new(!header.sees_failures, header.all, header.page_size)
                .stall_limit(header.stall_ns),
            hooks: header.hooks,
            not_seen: header.not_seen,
            view,
            incidents_left: IncidentsLeft::ALL,
            summary: Summary::default(),
            watched: Watched::default(),
            loss: Loss::default(),
            unobservable: header.unobservable,
            all: header.all,
            page_size: header.page_size,
            kernel,
            realtime_offset_ns: header.realtime_offset_ns,
            node: None,
            names: Attributions::default(),
            recordings: Recordings::default(),
            live: None,
        }
    }

    /// Measures the latency of reports, for the summary. `now_ns` reads `CLOCK_MONOTONIC` in nanoseconds.
    #[must_use]
    pub fn live(self, now_ns: fn() -> u64) -> Self {
        Self { live: Some(now_ns), ..self }
    }

    /// Reports what is observed, before all else.
    pub fn ready(&mut self) -> io::Result<()> {
        self.report.line(&self.view.ready(&self.hooks, &self.not_seen))
    }

    /// Goes on without a hook, and reports again what is observed.
    fn detach(&mut self, status: HookStatus) -> io::Result<()> {
        if status.hook == Hook::AllocationFailed {
            self.correlator.lose_sight_of_failures();
        }
        if status.hook.info().supports_others {
            self.unobservable.extend(status.not_seen.clone());
        }
        if let Some(known) = self.hooks.iter_mut().find(|known| known.hook == status.hook) {
            *known = status;
        }
        self.view = self.view.with_hooks(&self.hooks);
        self.ready()
    }

    /// Processes an entry. Returns what it completes, for [`Pipeline::report`].
    ///
    /// # Errors
    /// If the report can't be written, as for all methods here.
    pub fn apply(&mut self, entry: Entry) -> io::Result<Vec<Correlated>> {
        match entry {
            Entry::Event(event) => return Ok(self.correlator.push(event)),
            Entry::Clock { realtime_offset_ns } => self.realtime_offset_ns = realtime_offset_ns,
            Entry::Node(facts) => self.node = Some(facts),
            Entry::Cgroup { id, path } => self.correlator.cgroups().insert(id, &path, None),
            Entry::Reply { reply, .. } => {
                for attribution in self.names.reply(reply) {
                    let ended = clock::time_of_day(attribution.ended_ns, self.realtime_offset_ns);
                    self.report.line(&view::late_container(ended, &attribution))?;
                }
            }
            Entry::Tick { time_ns } => {
                self.incidents_left = IncidentsLeft::ALL;
                let mut correlated = self.correlator.flush_outside(Some(time_ns));
                correlated.extend(self.correlator.superseded(time_ns));
                return Ok(correlated);
            }
            Entry::Sample(sample) => {
                let complete = self.recordings.sample(sample);
                self.report_recording(complete.as_ref())?;
            }
            Entry::Trigger { time_ns, reason } => {
                let complete = self.recordings.trigger(time_ns, reason);
                self.report_recording(complete.as_ref())?;
            }
            Entry::Loss(loss) => {
                self.loss = loss;
                self.report.line(&view::loss(&loss))?;
            }
            Entry::Open { time_ns, creations } => {
                return Ok(self.correlator.open(time_ns, creations));
            }
            Entry::Repeats { repeats, .. } => self.report_repeats(&repeats)?,
            Entry::Detached(status) => self.detach(status)?,
            Entry::End { outside, creations } => {
                self.watched.outside = outside.map(view::outside);
                self.watched.incidents_omitted +=
                    outside.map_or(0, |counts| counts.omitted_failures);
                self.watched.failed_steps = outside.map_or(0, |counts| counts.omitted_steps);
                let counted = creations.unwrap_or_default();
                let ok = &mut self.watched.creations.ok;
                *ok = ok.saturating_add(counted.untroubled);
                self.watched.creations.unfinished = counted.unfinished;
                let mut correlated = self.correlator.flush_outside(None);
                correlated.extend(self.correlator.finish());
                return Ok(correlated);
            }
        }
        Ok(Vec::new())
    }

    /// Diagnoses and reports creation steps and incidents.
    pub fn report(&mut self, correlated: Vec<Correlated>) -> io::Result<()> {
        for one in correlated {
            match one {
                Correlated::CreationStep(creation) => self.report_creation(*creation)?,
                Correlated::Incident(incident) => self.report_incident(*incident)?,
                Correlated::Unfinished(one) => {
                    let found = clock::time_of_day(one.at_ns, self.realtime_offset_ns);
                    self.report.line(&view::unfinished(found, &one))?;
                }
            }
        }
        Ok(())
    }

    /// Reports the totals, after all else.
    pub fn summary(&mut self) -> io::Result<()> {
        let complete = self.recordings.finish();
        self.report_recording(complete.as_ref())?;
        // Of some that began there are no events, and of some that ended the end was lost.
        let unfinished = &mut self.watched.creations.unfinished;
        *unfinished = self.correlator.unfinished().max(*unfinished);
        self.watched.lost = self.loss.total();
        self.watched.failed_steps =
            self.watched.failed_steps.saturating_add(self.correlator.other_steps());
        let watched = Some(self.watched.clone());
        self.report.line(&Line::Summary(Summary { watched, ..self.summary.clone() }))
    }

    /// Whether a report about one of these needs the node's facts.
    pub fn wants_node(&self, correlated: &[Correlated]) -> bool {
        correlated.iter().any(|one| match one {
            Correlated::CreationStep(creation) => {
                creation.outcome() != Outcome::Ok && self.is_reported(creation)
            }
            Correlated::Incident(incident) => {
                self.concerns(incident) && self.incidents_left.of(incident) != 0
            }
            Correlated::Unfinished(_) => false,
        })
    }

    /// Queries about the containers of these.
    pub fn queries(&mut self, correlated: &[Correlated]) -> Vec<Query> {
        let mut queries = Vec::new();
        for one in correlated {
            match one {
                Correlated::CreationStep(creation) if self.is_reported(creation) => {
                    queries.extend(self.names.queries(creation, self.realtime_offset_ns));
                }
                Correlated::Incident(incident) if self.concerns(incident) => {
                    let victims =
                        incident.oom_kills.iter().filter_map(|kill| kill.container.as_deref());
                    queries.extend(victims.filter_map(|container| self.names.query(container)));
                }
                Correlated::CreationStep(_)
                | Correlated::Incident(_)
                | Correlated::Unfinished(_) => {}
            }
        }
        queries
    }

    /// Whether a creation step is reported.
    fn is_reported(&self, creation: &CreationStep) -> bool {
        self.all || creation.outcome() != Outcome::Ok && creation.is_start
    }

    /// Whether an incident is reported. The programs send OOM kills and refused forks outside creations in
    /// any case.
    fn concerns(&self, incident: &Incident) -> bool {
        self.all || incident.is_news()
    }

    /// Lost events, as last reported.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// The current `CLOCK_REALTIME` minus `CLOCK_MONOTONIC`, in nanoseconds.
    pub fn realtime_offset_ns(&self) -> i64 {
        self.realtime_offset_ns
    }

    /// Whether a tick would have an effect.
    pub fn needs_tick(&self) -> bool {
        self.incidents_left != IncidentsLeft::ALL || self.correlator.follows_outside()
    }

    /// Whether a creation of which there were events has been without an end for long.
    pub fn has_long(&self, now_ns: u64) -> bool {
        self.correlator.has_long(now_ns)
    }

    /// Notes that an entry is missing, which may have been about any unfinished creation.
    pub fn note_missing_entry(&mut self) {
        self.correlator.lose();
    }

    fn report_creation(&mut self, mut creation: CreationStep) -> io::Result<()> {
        if self.is_reported(&creation) {
            self.names.name(&mut creation, self.realtime_offset_ns);
        }
        let creation = &creation;
        let outcome = creation.outcome();
        let is_trouble = outcome != Outcome::Ok;
        let node = self.node.as_ref().filter(|_| is_trouble);
        let node = node.and_then(|facts| Reading::of(facts, creation.ended_ns));
        let evidence = || {
            Evidence::step(creation, self.page_size, &self.unobservable)
                .on_kernel(self.kernel.as_ref())
                .with_node(node)
        };
        let verdict = is_trouble.then(|| diagnose(&evidence()));
        if is_trouble && !creation.is_start {
            self.watched.other_namespaces += 1;
        } else if creation.continues().is_none() {
            self.watched.creations.count(outcome);
            if let Some(verdict) = &verdict {
                self.summary.count_cause(verdict.cause);
            }
        }
        if !self.is_reported(creation) {
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

    /// Reports steps that were only counted. What no program sees, because the kernel makes the system call again, is
    /// left out.
    fn report_repeats(&mut self, repeats: &[Repeats]) -> io::Result<()> {
        let is_seen = |one: &&Repeats| !one.errno.is_some_and(|errno| RESTARTS.contains(&errno));
        for one in repeats.iter().filter(is_seen) {
            let is_start = self.correlator.is_start(one);
            let counts = &mut self.watched;
            let count = match (is_start, one.errno) {
                (false, _) => &mut counts.other_namespaces,
                (true, Some(_)) => &mut counts.creations.failed,
                (true, None) => &mut counts.creations.degraded,
            };
            *count = count.saturating_add(one.count);
            if !is_start && !self.all {
                continue;
            }
            let cgroup = self.correlator.cgroups().path(one.cgroup_id);
            let time = clock::time_of_day(one.last_ns, self.realtime_offset_ns);
            self.report.line(&view::repeats(time, one, cgroup.as_ref()))?;
        }
        Ok(())
    }

    fn report_recording(&mut self, complete: Option<&Recording>) -> io::Result<()> {
        let offset = self.realtime_offset_ns;
        let line = complete.and_then(|recording| self.view.recording(recording, offset));
        line.map_or(Ok(()), |line| self.report.line(&line))
    }

    fn report_incident(&mut self, mut incident: Incident) -> io::Result<()> {
        if !self.concerns(&incident) {
            return Ok(());
        }
        if !self.incidents_left.take(&incident) {
            self.watched.incidents_omitted += 1;
            return Ok(());
        }
        self.summary.incidents += 1;
        let Source::Live { time_ns } = incident.source else { return Ok(()) };
        for kill in &mut incident.oom_kills {
            if let Some(container) = &mut kill.container {
                self.names.learn(container);
            }
        }
        let incident = &incident;
        let node = self.node.as_ref().and_then(|facts| Reading::of(facts, time_ns));
        let evidence = Evidence::incident(incident, &self.unobservable)
            .on_kernel(self.kernel.as_ref())
            .with_node(node);
        let verdict = diagnose(&evidence);
        let time = clock::time_of_day(time_ns, self.realtime_offset_ns);
        self.report.line(&self.view.incident(time, incident, &verdict, node))
    }
}
