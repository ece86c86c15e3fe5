//! From lines to incidents: which of a log's lines are about the same failure.
//!
//! Reports of several CPUs and tasks can lie line by line in each other. printk's caller ids keep
//! them apart where the kernel prints them. Elsewhere a line goes to the report under way, and what
//! names its owner to that owner's: the line with a task's name, a stack that begins with the page
//! allocator's warning or with the OOM killer. What has no beginning in the log is left out.
//!
//! A container's failure that a program reports joins a report of the kernel's that names the
//! container, or that was made by a runtime or while namespaces were made, if they are close.
mod container;
mod described;
mod finish;
mod incident_builder;
mod log_position;
mod masks;
mod memory;
pub(crate) mod named;
mod oom;
mod process_limits;
mod reports;
pub(crate) mod runtime;
mod stack;
mod traces;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use fragwatch_core::model::{
    incident::Incident, kernel_version::KernelVersion, node::Buddyinfo,
    program_message::ContainerFailure,
};

use crate::{
    assemble::{
        incident_builder::IncidentBuilder,
        log_position::{Lane, LogPosition, Machine},
        masks::Known,
        process_limits::ProcessLimits,
        stack::Stack,
    },
    line::LogLine,
    parse::{self, Message, trace::Trace},
};

/// Reports under way at a time; the oldest is reported when there are more.
const MAX_OPEN: usize = 64;
/// Container failures that may still join a report.
const MAX_CONTAINERS: usize = 64;
/// Callers and hosts remembered.
const MAX_KEYS: usize = 256;
/// Zones of /proc/buddyinfo kept.
const MAX_BUDDYINFO: usize = 256;
/// Lines of one report are not further apart than this: a slow serial console takes seconds for one.
const REPORT_GAP: (Duration, u64) = (Duration::from_secs(10), 400);
/// A container's failure is logged at most this long before or after the kernel's report.
const JOIN_GAP: (Duration, u64) = (Duration::from_secs(5), 400);
/// Failures of one cache or forks refused in one cgroup are one incident over this time.
const REPEAT_GAP: (Duration, u64) = (Duration::from_mins(1), 400);

/// What the next lines without an owner belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    IncidentBuilder(u64),
    /// To something that isn't reported.
    NotReported,
}

/// Puts lines together into incidents. Its memory is bounded whatever the log.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The kernel's release where the log doesn't say it.
    given_kernel: Option<KernelVersion>,
    /// The release that lines of a host said last.
    seen_kernel: HashMap<Machine, KernelVersion>,
    /// The release that stands in the text around the log, of each source the first.
    noted_kernel: Vec<(LogPosition, KernelVersion)>,
    open: Vec<IncidentBuilder>,
    owner: HashMap<Lane, Owner>,
    stacks: HashMap<Lane, Stack>,
    containers: VecDeque<(LogPosition, ContainerFailure)>,
    /// What was given along.
    buddyinfo: Vec<Buddyinfo>,
    /// What stands in the log.
    seen_buddyinfo: Vec<(LogPosition, Buddyinfo)>,
    masks: Known,
    limits: ProcessLimits,
    described: described::Named,
    suppressed: HashMap<Machine, u64>,
    made: u64,
    without_beginning: u64,
}

impl Assembler {
    /// For a log of a kernel with this release, if it is known from elsewhere; `buddyinfo` is what
    /// was given along.
    pub fn new(kernel: Option<KernelVersion>, buddyinfo: Vec<Buddyinfo>) -> Self {
        Self { given_kernel: kernel, buddyinfo, ..Self::default() }
    }

    /// Takes a line; returns the incidents that have ended.
    pub fn push(&mut self, line: &LogLine) -> Vec<Incident> {
        let at = LogPosition::of(line);
        let ended = self.close(
            |draft| !draft.gap_allows(&at),
            |at_failure| {
                at_failure
                    .over_by_lines_of_another(&at, REPORT_GAP.1)
                    .unwrap_or_else(|| !at_failure.may_be_of_one(&at, REPORT_GAP.0, REPORT_GAP.1))
            },
        );
        if let Some(message) = parse::parse(line) {
            self.take(message, &at);
        }
        let mut ended = ended;
        while self.open.len() > MAX_OPEN {
            let oldest = self.open[0].id;
            ended.extend(self.close(|draft| draft.id == oldest, |_| false));
        }
        ended
    }

    /// Ends everything under way: the log has ended, or has been quiet for long enough.
    pub fn flush(&mut self) -> Vec<Incident> {
        // In their order: the first that waits for one gets it.
        let mut lanes: Vec<(u64, Lane)> =
            self.stacks.iter().map(|(lane, stack)| (stack.begin.first, lane.clone())).collect();
        lanes.sort_unstable();
        for (_, lane) in lanes {
            self.end_stack(&lane);
        }
        self.close(|_| true, |_| true)
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.containers.is_empty()
    }

    /// Reports of which the beginning is not in the log; they are left out.
    pub fn without_beginning(&self) -> u64 {
        self.without_beginning
    }

    fn take(&mut self, message: Message, at: &LogPosition) {
        if !matches!(
            message,
            Message::Trace(Trace::Frame(_) | Trace::Task { .. }) | Message::Container(_)
        ) {
            self.end_stack(&at.lane());
        }
        match message {
            Message::Allocation(header) => {
                let warning_of_vmalloc = self.owned(at).filter(|draft| {
                    !draft.vmalloc.is_empty() && draft.header.is_none() && header.order == Some(0)
                });
                let id = warning_of_vmalloc.map(|draft| draft.id);
                // People quote a heading above the report that they paste.
                let quote = self.open.iter().position(|draft| draft.is_quote_of(&header));
                let quote =
                    quote.filter(|_| at.time.is_some()).map(|index| self.open.remove(index));
                let draft = self.draft_or_new(id, at);
                if let Some(quote) = quote {
                    draft.begin.first = draft.begin.first.min(quote.begin.first);
                }
                draft.comm = Some(header.comm.clone());
                draft.header = Some(header);
            }
            Message::Cpuset { cpuset, mems_allowed } => {
                if let Some(draft) = self.owned(at) {
                    draft.cpuset.get_or_insert((cpuset, mems_allowed));
                    draft.touch(at);
                }
            }
            Message::Suppressed(count) => {
                if self.suppressed.len() < MAX_KEYS || self.suppressed.contains_key(&at.machine()) {
                    *self.suppressed.entry(at.machine()).or_default() += count;
                }
            }
            Message::Vmalloc(vmalloc) => self.take_vmalloc(vmalloc, at),
            Message::Slab(slab) => self.take_slab(slab, at),
            Message::Oom(oom) => self.take_oom(oom, at),
            Message::Memory(memory) => self.take_memory(memory, at),
            Message::Trace(trace) => self.take_trace(trace, at),
            Message::Version(kernel) => self.saw_kernel(&kernel, at),
            Message::NotedVersion(kernel) => {
                let known = self.noted_kernel.iter().any(|(noted, _)| noted.same_host(at));
                if !known
                    && self.noted_kernel.len() < MAX_KEYS
                    && let Ok(kernel) = kernel.parse()
                {
                    self.noted_kernel.push((at.clone(), kernel));
                }
            }
            Message::ForkRefused(cgroup) => self.take_fork(cgroup, at),
            Message::Buddyinfo(zone, blocks) => {
                if self.seen_buddyinfo.len() < MAX_BUDDYINFO {
                    let zone = Buddyinfo { node: zone.node, name: zone.name, blocks };
                    self.seen_buddyinfo.push((at.clone(), zone));
                }
            }
            Message::Described(line) => self.described.take(line, at),
            Message::Unit(unit) => self.limits.saw_unit(unit, at),
            Message::Tasks(count, limit) => self.limits.saw_tasks(count, limit, at),
            Message::PidMax(pid_max) => self.limits.saw_pid_max(pid_max, at),
            Message::Percpu(failed) => self.draft_or_new(None, at).percpu = Some(failed),
            Message::Hung(hung) => {
                let draft = self.draft_or_new(None, at);
                (draft.comm, draft.pid) = (Some(hung.comm), hung.pid);
                draft.hung_for = Some(hung.seconds);
            }
            Message::Container(failure) => self.take_container(failure, at),
        }
    }

    /// The draft that the next lines of this caller belong to.
    fn owned(&mut self, at: &LogPosition) -> Option<&mut IncidentBuilder> {
        match self.owner.get(&at.lane()) {
            Some(&Owner::IncidentBuilder(id)) => self.draft(id),
            _ => None,
        }
    }

    fn draft(&mut self, id: u64) -> Option<&mut IncidentBuilder> {
        self.open.iter_mut().find(|draft| draft.id == id)
    }

    /// That draft or a new one, which the next lines of this caller belong to then.
    fn draft_or_new(&mut self, id: Option<u64>, at: &LogPosition) -> &mut IncidentBuilder {
        let index = id.and_then(|id| self.open.iter().position(|draft| draft.id == id));
        let index = index.unwrap_or_else(|| {
            self.made += 1;
            let mut draft = IncidentBuilder::new(self.made, at);
            draft.suppressed = self.suppressed.remove(&at.machine()).unwrap_or(0);
            self.open.push(draft);
            self.open.len() - 1
        });
        let id = self.open[index].id;
        self.set_owner(at.lane(), Owner::IncidentBuilder(id));
        let draft = &mut self.open[index];
        draft.touch(at);
        draft
    }

    fn set_owner(&mut self, lane: Lane, owner: Owner) {
        if self.owner.len() >= MAX_KEYS && !self.owner.contains_key(&lane) {
            self.owner.clear();
        }
        self.owner.insert(lane, owner);
    }

    /// The youngest draft of the same caller (where ids are printed) for which this holds.
    fn youngest(&self, at: &LogPosition, holds: impl Fn(&IncidentBuilder) -> bool) -> Option<u64> {
        let same =
            |draft: &&IncidentBuilder| draft.end.caller == at.caller && draft.end.same_host(at);
        self.open.iter().rev().filter(same).find(|draft| holds(draft)).map(|draft| draft.id)
    }

    fn saw_kernel(&mut self, release: &str, at: &LogPosition) {
        let Ok(kernel) = release.parse::<KernelVersion>() else { return };
        if self.seen_kernel.len() < MAX_KEYS || self.seen_kernel.contains_key(&at.machine()) {
            self.seen_kernel.insert(at.machine(), kernel);
        }
    }

    fn take_fork(&mut self, cgroup: String, at: &LogPosition) {
        let same = |draft: &IncidentBuilder| {
            draft
                .fork_refused
                .as_ref()
                .is_some_and(|refused| refused.cgroup.as_deref() == Some(&cgroup))
        };
        let known = self.youngest(at, same);
        let draft = self.draft_or_new(known, at);
        let refused = draft.fork_refused.get_or_insert_default();
        refused.cgroup = Some(cgroup);
        refused.times = Some(refused.times.unwrap_or(0) + 1);
    }

    fn take_container(&mut self, mut failure: ContainerFailure, at: &LogPosition) {
        self.described.add_to(&mut failure, at);
        if let Some((known_at, known)) = self.containers.iter_mut().find(|(known_at, known)| {
            joinable(known_at, at) && known_at.same_host(at) && runtime::same(known, &failure)
        }) {
            runtime::merge(known, failure);
            known_at.last = known_at.last.max(at.last);
            return;
        }
        if self.containers.len() == MAX_CONTAINERS {
            self.containers.pop_front();
        }
        self.containers.push_back((at.clone(), failure));
    }

    /// Ends those drafts, and reports those container failures that joined none of them and none
    /// that is under way.
    fn close(
        &mut self,
        over: impl Fn(&IncidentBuilder) -> bool,
        failure_over: impl Fn(&LogPosition) -> bool,
    ) -> Vec<Incident> {
        if self.open.is_empty() && self.containers.is_empty() {
            return Vec::new();
        }
        let (mut ended, open): (Vec<IncidentBuilder>, Vec<IncidentBuilder>) =
            self.open.drain(..).partition(|draft| over(draft));
        self.open = open;
        ended.retain(IncidentBuilder::is_incident);
        for draft in &mut ended {
            let mut rest = VecDeque::new();
            for (at, failure) in self.containers.drain(..) {
                if is_close(draft, &at, &failure) && is_of_one(draft, &at, &failure) {
                    draft.touch(&at);
                    draft.containers.push(failure);
                } else {
                    rest.push_back((at, failure));
                }
            }
            self.containers = rest;
        }
        // What may still join a report under way waits for it.
        let waits = |at: &LogPosition, failure: &ContainerFailure, open: &[IncidentBuilder]| {
            open.iter().any(|draft| is_close(draft, at, failure) && is_of_one(draft, at, failure))
        };
        let mut rest = VecDeque::new();
        for (at, failure) in self.containers.drain(..) {
            if failure_over(&at) && !waits(&at, &failure, &self.open) {
                self.made += 1;
                let mut draft = IncidentBuilder::new(self.made, &at);
                draft.containers.push(failure);
                ended.push(draft);
            } else {
                rest.push_back((at, failure));
            }
        }
        self.containers = rest;
        ended.sort_by_key(|draft| draft.begin.first);
        ended.into_iter().map(|draft| self.finish(draft)).collect()
    }

    fn finish(&self, draft: IncidentBuilder) -> Incident {
        let seen = || {
            self.seen_kernel
                .get(&draft.begin.machine())
                .or_else(|| self.seen_kernel.get(&draft.begin.machine().without_host()))
                .or_else(|| self.seen_kernel.get(&Machine::default()))
        };
        let kernel = draft
            .kernel
            .clone()
            .or_else(|| seen().cloned())
            .or_else(|| self.given_kernel.clone())
            .or_else(|| of_same_host(&self.noted_kernel, &draft.begin).next().cloned());
        let at = draft.begin.clone();
        let mut buddyinfo = self.buddyinfo.clone();
        buddyinfo.extend(of_same_host(&self.seen_buddyinfo, &at).cloned());
        let mut incident = finish::finish(draft, kernel, buddyinfo, &self.masks);
        self.limits.add_to(&mut incident, &at);
        incident
    }
}

/// What was seen on the same machine.
fn of_same_host<'a, T>(
    seen: &'a [(LogPosition, T)],
    at: &'a LogPosition,
) -> impl Iterator<Item = &'a T> {
    seen.iter().filter(|(seen_at, _)| seen_at.same_host(at)).map(|(_, seen)| seen)
}

fn joinable(one: &LogPosition, other: &LogPosition) -> bool {
    one.may_be_of_one(other, JOIN_GAP.0, JOIN_GAP.1)
}

/// Whether a container's failure stands close enough to a report to be of it. Where only one of the
/// two has a time, a container that both name counts for more than how many lines are between them.
fn is_close(draft: &IncidentBuilder, at: &LogPosition, failure: &ContainerFailure) -> bool {
    let timed = draft.begin.time.is_some() == at.time.is_some();
    joinable(&draft.begin, at)
        || joinable(&draft.end, at)
        || !timed
            && runtime::names_same(draft, failure)
            && draft.end.lines_between(at) <= JOIN_GAP.1
}

/// Whether a container failed of what a report describes: both name it, or they are of one machine
/// and fit.
fn is_of_one(draft: &IncidentBuilder, at: &LogPosition, failure: &ContainerFailure) -> bool {
    runtime::names_same(draft, failure)
        || draft.begin.same_host(at) && runtime::joins(draft, failure)
}

fn near(one: &LogPosition, other: &LogPosition, (time, lines): (Duration, u64)) -> bool {
    one.near(other, time, lines)
}

impl IncidentBuilder {
    /// Whether a line at that moment can still be of it.
    fn gap_allows(&self, at: &LogPosition) -> bool {
        let gap = if self.slab.is_empty() && self.fork_refused.is_none() {
            REPORT_GAP
        } else {
            REPEAT_GAP
        };
        let over = self.end.over_by_lines_of_another(at, gap.1);
        over.map_or_else(|| near(&self.end, at, gap), |over| !over)
    }
}

#[cfg(test)]
mod tests;
