//! From lines to incidents: which of a log's lines are about the same failure.
//!
//! Reports of several CPUs and tasks can lie line by line in each other. printk's caller ids tell
//! them apart where the kernel prints them. Elsewhere a line goes to the report under way, and what
//! names its owner to that owner's: the line with a task's name, a stack that begins with the page
//! allocator's warning or with the OOM killer. What has no beginning in the log is left out.
//!
//! A container's failure that a program tells of joins a report of the kernel's that names the
//! container, or that was made by a runtime or while namespaces were made, if they are close.
mod draft;
mod finish;
mod memory;
mod moment;
mod runtime;
mod stack;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use self::{
    draft::{Draft, MAX_PARTS, OomDraft, SlabDraft},
    moment::Moment,
    stack::{Kind, Stack},
};
use super::{
    line::{Caller, LogLine},
    message::{
        self, Message, memory::Memory, oom::Oom, slab::Slab, trace::Trace, vmalloc::Vmalloc,
    },
};
use crate::incident::{Buddyinfo, CacheNotCreated, ContainerFailure, ForkRefused, LogIncident};

/// Reports under way at a time; the oldest is told when there are more.
const MAX_OPEN: usize = 64;
/// Container failures that may still join a report.
const MAX_CONTAINERS: usize = 64;
/// Callers and hosts remembered.
const MAX_KEYS: usize = 256;
/// Zones of /proc/buddyinfo kept.
const MAX_BUDDYINFO: usize = 256;
/// Lines of one report are not further apart than this: a slow serial console takes seconds for one.
const REPORT_GAP: (Duration, u64) = (Duration::from_secs(10), 400);
/// A container's failure is told at most this long before or after the kernel's report.
const JOIN_GAP: (Duration, u64) = (Duration::from_secs(5), 400);
/// Failures of one cache or forks refused in one cgroup are one incident over this time.
const REPEAT_GAP: (Duration, u64) = (Duration::from_secs(60), 400);

/// To whom the next lines without an owner belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Draft(u64),
    /// To something that isn't told.
    Nobody,
}

/// Puts lines together into incidents. Its memory is bounded whatever the log.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The kernel's release where the log doesn't say it.
    given_kernel: Option<String>,
    /// The release that lines of a host said last.
    seen_kernel: HashMap<Option<String>, String>,
    open: Vec<Draft>,
    owner: HashMap<Option<Caller>, Owner>,
    stacks: HashMap<Option<Caller>, Stack>,
    containers: VecDeque<(Moment, ContainerFailure)>,
    buddyinfo: Vec<Buddyinfo>,
    suppressed: u64,
    made: u64,
    without_beginning: u64,
}

impl Assembler {
    /// For a log of a kernel with this release, if it is known from elsewhere; `buddyinfo` is what
    /// was given along.
    pub fn new(kernel: Option<String>, buddyinfo: Vec<Buddyinfo>) -> Self {
        Self { given_kernel: kernel, buddyinfo, ..Self::default() }
    }

    /// Takes a line; returns the incidents that have ended.
    pub fn push(&mut self, line: &LogLine) -> Vec<LogIncident> {
        let at = Moment::of(line);
        let ended = self.close(|draft| !draft.gap_allows(&at), |told| !near(&at, told, REPORT_GAP));
        if let Some(message) = message::parse(line) {
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
    pub fn flush(&mut self) -> Vec<LogIncident> {
        let callers: Vec<Option<Caller>> = self.stacks.keys().copied().collect();
        for caller in callers {
            self.end_stack(caller);
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

    fn take(&mut self, message: Message, at: &Moment) {
        if !matches!(
            message,
            Message::Trace(Trace::Frame(_) | Trace::Task { .. }) | Message::Container(_)
        ) {
            self.end_stack(at.caller);
        }
        match message {
            Message::Allocation(header) => {
                let warning_of_vmalloc = self.owned(at).filter(|draft| {
                    !draft.vmalloc.is_empty() && draft.header.is_none() && header.order == Some(0)
                });
                let id = warning_of_vmalloc.map(|draft| draft.id);
                let draft = self.draft_or_new(id, at);
                draft.comm = Some(header.comm.clone());
                draft.header = Some(header);
            }
            Message::Cpuset { cpuset, mems_allowed } => {
                if let Some(draft) = self.owned(at) {
                    draft.cpuset.get_or_insert((cpuset, mems_allowed));
                    draft.touch(at);
                }
            }
            Message::Suppressed(count) => self.suppressed += count,
            Message::Vmalloc(vmalloc) => self.take_vmalloc(vmalloc, at),
            Message::Slab(slab) => self.take_slab(slab, at),
            Message::Oom(oom) => self.take_oom(oom, at),
            Message::Memory(memory) => self.take_memory(memory, at),
            Message::Trace(trace) => self.take_trace(trace, at),
            Message::Version(kernel) => self.saw_kernel(kernel, at),
            Message::ForkRefused(cgroup) => self.take_fork(cgroup, at),
            Message::Buddyinfo(zone, blocks) => {
                if self.buddyinfo.len() < MAX_BUDDYINFO {
                    self.buddyinfo.push(Buddyinfo { node: zone.node, name: zone.name, blocks });
                }
            }
            Message::Container(failure) => self.take_container(failure, at),
        }
    }

    /// The draft that the next lines of this caller belong to.
    fn owned(&mut self, at: &Moment) -> Option<&mut Draft> {
        match self.owner.get(&at.caller) {
            Some(&Owner::Draft(id)) => self.draft(id),
            _ => None,
        }
    }

    fn draft(&mut self, id: u64) -> Option<&mut Draft> {
        self.open.iter_mut().find(|draft| draft.id == id)
    }

    /// That draft or a new one, which the next lines of this caller belong to then.
    fn draft_or_new(&mut self, id: Option<u64>, at: &Moment) -> &mut Draft {
        let index = id.and_then(|id| self.open.iter().position(|draft| draft.id == id));
        let index = index.unwrap_or_else(|| {
            self.made += 1;
            let mut draft = Draft::new(self.made, at);
            draft.suppressed = std::mem::take(&mut self.suppressed);
            self.open.push(draft);
            self.open.len() - 1
        });
        let id = self.open[index].id;
        self.set_owner(at.caller, Owner::Draft(id));
        let draft = &mut self.open[index];
        draft.touch(at);
        draft
    }

    fn set_owner(&mut self, caller: Option<Caller>, owner: Owner) {
        if self.owner.len() >= MAX_KEYS && !self.owner.contains_key(&caller) {
            self.owner.clear();
        }
        self.owner.insert(caller, owner);
    }

    /// The youngest draft of the same caller (where ids are printed) for which this holds.
    fn youngest(&self, at: &Moment, holds: impl Fn(&Draft) -> bool) -> Option<u64> {
        let same = |draft: &&Draft| draft.end.caller == at.caller && draft.end.same_host(at);
        self.open.iter().rev().filter(same).find(|draft| holds(draft)).map(|draft| draft.id)
    }

    fn take_vmalloc(&mut self, vmalloc: Vmalloc, at: &Moment) {
        let other_comm = |draft: &Draft| {
            vmalloc.comm.is_some() && draft.comm.is_some() && draft.comm != vmalloc.comm
        };
        let id = self.owned(at).filter(|draft| {
            !draft.vmalloc.is_empty()
                && draft.header.is_none()
                && !draft.memory.begun
                && !other_comm(draft)
        });
        let id = id.map(|draft| draft.id);
        let draft = self.draft_or_new(id, at);
        if draft.comm.is_none() {
            draft.comm.clone_from(&vmalloc.comm);
        }
        if draft.vmalloc.len() < MAX_PARTS {
            draft.vmalloc.push(vmalloc);
        }
    }

    fn take_slab(&mut self, slab: Slab, at: &Moment) {
        match slab {
            Slab::OutOfMemory { mask } => {
                // Where the page allocator's own report came first, this is its caller's.
                let reported = self.youngest(at, |draft| {
                    let raw =
                        |header: &message::allocation::Header| header.mask.as_ref().map(|m| m.raw);
                    draft.slab.is_empty()
                        && draft.header.as_ref().is_some_and(|header| {
                            raw(header)
                                .zip(mask.as_ref())
                                .is_some_and(|(raw, mask)| raw & mask.raw == mask.raw)
                        })
                });
                let draft = self.draft_or_new(reported, at);
                draft.slab.push(SlabDraft {
                    mask,
                    name: None,
                    object_size: None,
                    min_order: None,
                    times: 1,
                });
            }
            Slab::Cache { name, object_size, min_order } => {
                let nameless = |draft: &Draft| draft.slab.iter().any(|slab| slab.name.is_none());
                // Headings and caches come in the same order.
                let waiting = self.open.iter().find(|draft| nameless(draft)).map(|draft| draft.id);
                let draft = self.draft_or_new(waiting, at);
                let id = draft.id;
                let slab = match draft.slab.iter().position(|slab| slab.name.is_none()) {
                    Some(index) => SlabDraft {
                        name: Some(name),
                        object_size,
                        min_order,
                        ..draft.slab.remove(index)
                    },
                    None => {
                        SlabDraft { mask: None, name: Some(name), object_size, min_order, times: 1 }
                    }
                };
                draft.add_slab(slab);
                self.join_same_cache(id, at);
            }
            Slab::Node => {
                if let Some(draft) = self.owned(at) {
                    draft.touch(at);
                }
            }
            Slab::CreateFailed { name, errno } => {
                let reported = self.youngest(at, |draft| {
                    draft.caches.is_empty() && (draft.header.is_some() || !draft.slab.is_empty())
                });
                let draft = self.draft_or_new(reported, at);
                if draft.caches.len() < MAX_PARTS {
                    draft.caches.push(CacheNotCreated { name, errno });
                }
            }
            Slab::NoConntrackCache => {
                let id =
                    self.youngest(at, |draft| !draft.caches.is_empty() || draft.header.is_some());
                self.draft_or_new(id, at);
            }
        }
    }

    /// Failures of one cache, or of caches of one memory cgroup, are one incident.
    fn join_same_cache(&mut self, id: u64, at: &Moment) {
        let Some(index) = self.open.iter().position(|draft| draft.id == id) else { return };
        let young = &self.open[index];
        // One that has a heading of the page allocator's is told by itself.
        if young.is_of_page_allocator() {
            return;
        }
        let memcg = young.memcg_of_slab();
        let same = |draft: &Draft| {
            let caches = || draft.slab.iter().filter_map(|slab| slab.name.as_deref());
            let one_cache =
                young.slab.iter().any(|s| caches().any(|name| Some(name) == s.name.as_deref()));
            draft.id != id
                && !draft.is_of_page_allocator()
                && draft.end.same_host(at)
                && (one_cache || memcg.is_some() && draft.memcg_of_slab() == memcg)
        };
        let Some(older) = self.open.iter().find(|draft| same(draft)).map(|draft| draft.id) else {
            return;
        };
        let mut young = self.open.remove(index);
        let slab = std::mem::take(&mut young.slab);
        let older = self.draft_or_new(Some(older), at);
        slab.into_iter().for_each(|slab| older.add_slab(slab));
        older.absorb(young);
    }

    fn take_oom(&mut self, oom: Oom, at: &Moment) {
        if let Oom::Invoked { comm, .. } = &oom {
            let comm = comm.clone();
            let draft = self.draft_or_new(None, at);
            draft.comm = Some(comm);
            draft.oom.insert(OomDraft::default()).take(oom);
            return;
        }
        let can_take = |draft: &Draft| {
            draft.oom.as_ref().is_some_and(|of| of.can_take(&oom))
                && near(&draft.end, at, REPORT_GAP)
        };
        // The killer's lines come from whoever called it; before 5.1 a second one may tell of the kill.
        let known = self
            .youngest(at, can_take)
            .or_else(|| self.open.iter().rev().find(|draft| can_take(draft)).map(|draft| draft.id));
        let draft = self.draft_or_new(known, at);
        let id = draft.id;
        draft.oom.get_or_insert_default().take(oom);
        self.join_slab_of_container(id);
    }

    /// Slab caches of a container that got no memory, and the OOM kill that came of it.
    fn join_slab_of_container(&mut self, id: u64) {
        let Some(index) = self.open.iter().position(|draft| draft.id == id) else { return };
        let oom = &self.open[index];
        let of_it = |draft: &Draft| {
            draft.id != id
                && draft.oom.is_none()
                && !draft.is_of_page_allocator()
                && draft.memcg_of_slab().is_some_and(|memcg| oom.names(memcg))
        };
        let Some(other) = self.open.iter().position(of_it) else { return };
        let slab = self.open.remove(other);
        if let Some(oom) = self.draft(id) {
            oom.absorb(slab);
        }
    }

    fn take_memory(&mut self, memory: Memory, at: &Moment) {
        let begins = memory == Memory::Begin;
        let wants = |draft: &Draft| {
            !draft.memory.begun && (draft.is_of_page_allocator() || draft.oom.is_some())
        };
        let owner = match self.owner.get(&at.caller) {
            Some(&Owner::Draft(id)) => {
                let known = self.open.iter().find(|draft| draft.id == id);
                // A second heading is another report's.
                let fits = known.is_some_and(|draft| {
                    if begins {
                        wants(draft)
                    } else {
                        !draft.memory.ended
                            || matches!(
                                memory,
                                Memory::Ram(_)
                                    | Memory::HighMem(_)
                                    | Memory::FreeSwap(_)
                                    | Memory::TotalSwap(_)
                                    | Memory::Other
                            )
                    }
                });
                if fits {
                    Some(id)
                } else if begins {
                    self.youngest(at, wants)
                } else {
                    None
                }
            }
            Some(Owner::Nobody) => None,
            None => self.youngest(at, wants),
        };
        match owner {
            Some(id) => self.draft_or_new(Some(id), at).memory.take(memory),
            None if begins => {
                self.without_beginning +=
                    u64::from(!matches!(self.owner.get(&at.caller), Some(Owner::Nobody)));
                self.set_owner(at.caller, Owner::Nobody);
            }
            None => {}
        }
    }

    fn take_trace(&mut self, trace: Trace, at: &Moment) {
        match trace {
            Trace::Task { pid, comm, kernel } => {
                if let Some(kernel) = &kernel {
                    self.saw_kernel(kernel.clone(), at);
                }
                let his = |draft: &Draft| {
                    draft.pid.is_none() && draft.comm.as_deref() == Some(comm.as_str())
                };
                let owned = self.owned(at).filter(|draft| his(draft)).map(|draft| draft.id);
                let id = owned.or_else(|| self.youngest(at, his));
                if let Some(draft) = id.and_then(|id| self.draft(id)) {
                    (draft.pid, draft.kernel) = (pid, kernel);
                    draft.touch(at);
                } else if let Some(draft) = self.owned(at)
                    && draft.comm.is_none()
                    && !draft.caches.is_empty()
                {
                    // A refused cache's report says only here who it was.
                    (draft.pid, draft.comm, draft.kernel) = (pid, Some(comm), kernel);
                    draft.touch(at);
                }
            }
            Trace::Begin => {
                if self.stacks.len() < MAX_KEYS {
                    self.stacks.insert(at.caller, Stack::new(at, true));
                }
            }
            Trace::Frame(frame) => {
                if self.stacks.len() < MAX_KEYS || self.stacks.contains_key(&at.caller) {
                    self.stacks
                        .entry(at.caller)
                        .or_insert_with(|| Stack::new(at, false))
                        .push(frame, at);
                }
            }
            Trace::OtherReport => self.set_owner(at.caller, Owner::Nobody),
        }
    }

    /// A stack is over: finds out whose it was.
    fn end_stack(&mut self, caller: Option<Caller>) {
        let Some(stack) = self.stacks.remove(&caller) else { return };
        if stack.frames.is_empty() {
            return;
        }
        let kind = stack.kind();
        let fits = |draft: &Draft| {
            draft.frames.is_empty()
                && draft.begin.first <= stack.begin.first
                && match kind {
                    Kind::PageAllocator => draft.is_of_page_allocator(),
                    Kind::OomKiller => draft.oom.is_some(),
                    Kind::SlabCache => !draft.caches.is_empty(),
                    Kind::Other => stack.has_heading,
                }
        };
        let owned = self.owned(&stack.begin).filter(|draft| fits(draft)).map(|draft| draft.id);
        // The first of those that wait for one is the one whose stack it is.
        let waiting = || {
            self.open
                .iter()
                .find(|draft| fits(draft) && draft.end.caller == caller)
                .map(|draft| draft.id)
        };
        let id = owned.or_else(|| if kind == Kind::Other { None } else { waiting() });
        match id.and_then(|id| self.draft(id)) {
            Some(draft) => {
                draft.frames = stack.frames;
                draft.touch(&stack.end);
                let id = draft.id;
                self.set_owner(caller, Owner::Draft(id));
            }
            None if matches!(kind, Kind::PageAllocator | Kind::OomKiller) => {
                // A second stack of the same report, or one whose heading is missing.
                let known = self.owned(&stack.begin).is_some_and(|draft| {
                    draft.begin.first <= stack.begin.first
                        && !draft.memory.begun
                        && !draft.frames.is_empty()
                });
                if !known {
                    self.without_beginning += 1;
                    self.set_owner(caller, Owner::Nobody);
                }
            }
            None => {}
        }
    }

    fn saw_kernel(&mut self, kernel: String, at: &Moment) {
        if self.seen_kernel.len() < MAX_KEYS || self.seen_kernel.contains_key(&at.host) {
            self.seen_kernel.insert(at.host.clone(), kernel);
        }
    }

    fn take_fork(&mut self, cgroup: String, at: &Moment) {
        let same = |draft: &Draft| {
            draft.fork_refused.as_ref().is_some_and(|refused| refused.cgroup == cgroup)
        };
        let known = self.youngest(at, same);
        let draft = self.draft_or_new(known, at);
        draft.fork_refused.get_or_insert(ForkRefused { cgroup, times: 0 }).times += 1;
    }

    fn take_container(&mut self, failure: ContainerFailure, at: &Moment) {
        if let Some((told_at, told)) = self.containers.iter_mut().find(|(told_at, told)| {
            near(told_at, at, JOIN_GAP) && told_at.same_host(at) && runtime::same(told, &failure)
        }) {
            runtime::merge(told, failure);
            told_at.last = told_at.last.max(at.last);
            return;
        }
        if self.containers.len() == MAX_CONTAINERS {
            self.containers.pop_front();
        }
        self.containers.push_back((at.clone(), failure));
    }

    /// Ends those drafts, and tells of those container failures that joined none of them and none
    /// that is under way.
    fn close(
        &mut self,
        over: impl Fn(&Draft) -> bool,
        told_over: impl Fn(&Moment) -> bool,
    ) -> Vec<LogIncident> {
        if self.open.is_empty() && self.containers.is_empty() {
            return Vec::new();
        }
        let (mut ended, open): (Vec<Draft>, Vec<Draft>) =
            self.open.drain(..).partition(|draft| over(draft));
        self.open = open;
        for draft in &mut ended {
            let mut rest = VecDeque::new();
            for (at, failure) in self.containers.drain(..) {
                if near(&draft.begin, &at, JOIN_GAP)
                    && draft.begin.same_host(&at)
                    && runtime::joins(draft, &failure)
                {
                    draft.touch(&at);
                    draft.containers.push(failure);
                } else {
                    rest.push_back((at, failure));
                }
            }
            self.containers = rest;
        }
        // What may still join a report under way waits for it.
        let waits = |at: &Moment, failure: &ContainerFailure, open: &[Draft]| {
            open.iter()
                .any(|draft| near(&draft.begin, at, JOIN_GAP) && runtime::joins(draft, failure))
        };
        let mut rest = VecDeque::new();
        for (at, failure) in self.containers.drain(..) {
            if told_over(&at) && !waits(&at, &failure, &self.open) {
                self.made += 1;
                let mut draft = Draft::new(self.made, &at);
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

    fn finish(&self, draft: Draft) -> LogIncident {
        let seen =
            || self.seen_kernel.get(&draft.begin.host).or_else(|| self.seen_kernel.get(&None));
        let kernel =
            draft.kernel.clone().or_else(|| seen().cloned()).or_else(|| self.given_kernel.clone());
        finish::finish(draft, kernel, self.buddyinfo.clone())
    }
}

fn near(one: &Moment, other: &Moment, (time, lines): (Duration, u64)) -> bool {
    one.near(other, time, lines)
}

impl Draft {
    /// Whether a line at that moment can still be of it.
    fn gap_allows(&self, at: &Moment) -> bool {
        let gap = if self.slab.is_empty() && self.fork_refused.is_none() {
            REPORT_GAP
        } else {
            REPEAT_GAP
        };
        near(&self.end, at, gap)
    }
}

#[cfg(test)]
mod tests;
