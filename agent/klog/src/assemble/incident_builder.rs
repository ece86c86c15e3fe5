//! A report while its lines come in.
use fragwatch_core::model::{
    event::ForkRefused,
    kernel_version::KernelVersion,
    memcg::MemcgState,
    notice::{HungTask, PercpuFailed},
    program_message::ContainerFailure,
    slab::{SlabCache, memcg_of_cache},
};

use crate::{
    assemble::{log_position::LogPosition, memory::MemoryReport, named, stack},
    parse::{
        allocation::Header,
        field::Mask,
        oom::{Counter, Oom, Summary},
        trace::FrameLine,
        vmalloc::Vmalloc,
    },
};

/// Slab failures, refused caches and container failures kept for one incident.
pub(super) const MAX_PARTS: usize = 32;

/// Effective limits of a cgroup without one: the largest number of pages (`PAGE_COUNTER_MAX`) or
/// bytes, however rounded.
const NO_LIMIT: u64 = 1 << 62;

/// One report of the kernel's, or several that are about the same failure.
#[derive(Debug)]
pub(super) struct IncidentBuilder {
    /// Counts from 1 in the order of their beginnings.
    pub(super) id: u64,
    pub(super) begin: LogPosition,
    pub(super) end: LogPosition,
    pub(super) comm: Option<String>,
    pub(super) pid: Option<u32>,
    pub(super) kernel: Option<KernelVersion>,
    pub(super) header: Option<Header>,
    /// cpuset and its nodes, where the heading doesn't have them.
    pub(super) cpuset: Option<(String, String)>,
    /// Reports of this kind that the kernel left out just before.
    pub(super) suppressed: u64,
    pub(super) frames: Vec<FrameLine>,
    pub(super) memory: MemoryReport,
    pub(super) vmalloc: Vec<Vmalloc>,
    pub(super) slab: Vec<SlabDraft>,
    pub(super) caches: Vec<SlabCache>,
    pub(super) oom: Option<OomBuilder>,
    pub(super) fork_refused: Option<ForkRefused>,
    pub(super) percpu: Option<PercpuFailed>,
    /// It hangs for so many seconds.
    pub(super) hung_for: Option<u64>,
    pub(super) containers: Vec<ContainerFailure>,
}

/// A slab cache that got no pages.
#[derive(Clone, Debug)]
pub(super) struct SlabDraft {
    pub(super) mask: Option<Mask>,
    pub(super) name: Option<String>,
    pub(super) object_size: Option<u32>,
    pub(super) min_order: Option<u32>,
    pub(super) times: u64,
}

/// An OOM kill.
#[derive(Clone, Debug, Default)]
pub(super) struct OomBuilder {
    pub(super) mask: Option<Mask>,
    pub(super) order: Option<i32>,
    pub(super) invoked: bool,
    pub(super) summary: Option<Summary>,
    pub(super) task_memcg: Option<String>,
    pub(super) victims: Vec<(u32, String)>,
    /// What the victim's line says of whose memory ran out.
    pub(super) of_memcg: Option<bool>,
    pub(super) memcg: MemcgState,
    pub(super) has_memcg_lines: bool,
    /// All of a cgroup's tasks are killed (`memory.oom.group`).
    pub(super) of_group: bool,
}

impl IncidentBuilder {
    pub(super) fn new(id: u64, at: &LogPosition) -> Self {
        Self {
            id,
            begin: at.clone(),
            end: at.clone(),
            comm: None,
            pid: None,
            kernel: None,
            header: None,
            cpuset: None,
            suppressed: 0,
            frames: Vec::new(),
            memory: MemoryReport::default(),
            vmalloc: Vec::new(),
            slab: Vec::new(),
            caches: Vec::new(),
            oom: None,
            fork_refused: None,
            percpu: None,
            hung_for: None,
            containers: Vec::new(),
        }
    }

    /// A line at that moment belongs to it.
    pub(super) fn touch(&mut self, at: &LogPosition) {
        self.begin.first = self.begin.first.min(at.first);
        if at.last >= self.end.last {
            let host = self.end.host.take();
            self.end = at.clone();
            self.end.host = self.end.host.take().or(host);
        }
        if self.begin.host.is_none() {
            self.begin.host.clone_from(&at.host);
        }
        if self.begin.time.is_none() {
            self.begin.time = at.time;
        }
    }

    /// Whether it is no more than this heading, without a time.
    pub(super) fn is_quote_of(&self, header: &Header) -> bool {
        let same = |own: &Header| {
            (&own.comm, own.order, &own.mask) == (&header.comm, header.order, &header.mask)
        };
        self.begin.time.is_none()
            && self.header.as_ref().is_some_and(same)
            && self.pid.is_none()
            && self.frames.is_empty()
            && !self.memory.begun
            && self.caches.is_empty()
            && self.slab.is_empty()
    }

    /// Whether it is one: a task that hangs is only if it waits for memory.
    pub(super) fn is_incident(&self) -> bool {
        self.hung_for.is_none() || self.hung().is_some()
    }

    /// How a task hangs, if it waits for memory.
    pub(super) fn hung(&self) -> Option<HungTask> {
        let seconds = self.hung_for?;
        let waits_in = self.frames.iter().find_map(|frame| stack::waits_in(&frame.function))?;
        Some(HungTask { seconds, waits_in })
    }

    /// Whether it is a page allocator's report of which the end is still to come.
    pub(super) fn is_being_printed(&self) -> bool {
        self.header.is_some() && !self.memory.ended
    }

    /// Its stack should begin with the page allocator's warning.
    pub(super) fn is_of_page_allocator(&self) -> bool {
        self.header.is_some() || !self.vmalloc.is_empty()
    }

    /// The memory cgroup in the names of its slab caches.
    pub(super) fn memcg_of_slab(&self) -> Option<&str> {
        self.slab.iter().find_map(|slab| Some(memcg_of_cache(slab.name.as_deref()?)?.1))
    }

    /// Whether a container with this id is named in it.
    pub(super) fn names(&self, container: &str) -> bool {
        let has = |text: Option<&str>| text.is_some_and(|text| named::is_named_in(container, text));
        let oom = self.oom.as_ref();
        let summary = oom.and_then(|oom| oom.summary.as_ref());
        has(self.header.as_ref().and_then(|header| header.cpuset.as_deref()))
            || has(self.cpuset.as_ref().map(|(cpuset, _)| cpuset.as_str()))
            || self.slab.iter().any(|slab| has(slab.name.as_deref()))
            || has(oom.and_then(|oom| oom.memcg.path.as_deref()))
            || has(oom.and_then(|oom| oom.task_memcg.as_deref()))
            || has(summary.and_then(|summary| summary.cpuset.as_deref()))
            || has(summary.and_then(|summary| summary.task_memcg.as_deref()))
            || has(self.fork_refused.as_ref().and_then(|refused| refused.cgroup.as_deref()))
    }

    /// Takes in another draft that turned out to be about the same failure.
    pub(super) fn absorb(&mut self, other: Self) {
        self.touch(&other.begin);
        self.touch(&other.end);
        if other.begin.last <= self.begin.last {
            self.begin.time = other.begin.time.or(self.begin.time);
        }
        self.comm = self.comm.take().or(other.comm);
        self.pid = self.pid.or(other.pid);
        self.kernel = self.kernel.take().or(other.kernel);
        self.suppressed += other.suppressed;
        self.slab.splice(0..0, other.slab);
        self.slab.truncate(MAX_PARTS);
        self.caches.splice(0..0, other.caches);
        self.caches.truncate(MAX_PARTS);
    }

    /// Adds a failure of a slab cache, or counts it where that cache failed already.
    pub(super) fn add_slab(&mut self, slab: SlabDraft) {
        let known = self.slab.iter_mut().find(|known| known.name == slab.name);
        if let Some(known) = known.filter(|_| slab.name.is_some()) {
            known.times += slab.times;
        } else if self.slab.len() < MAX_PARTS {
            self.slab.push(slab);
        }
    }
}

impl OomBuilder {
    /// Whether this line can be of the same kill.
    pub(super) fn can_take(&self, oom: &Oom) -> bool {
        match oom {
            Oom::Invoked { .. } => false,
            Oom::TaskIn { .. } => self.task_memcg.is_none() && self.victims.is_empty(),
            Oom::Usage { .. } | Oom::Stats { .. } => {
                self.summary.is_none() && self.victims.is_empty()
            }
            Oom::Summary(_) => self.summary.is_none() && self.victims.is_empty(),
            // Up to 5.0 one line announces the victim and another reports the kill.
            Oom::Victim { pid, comm, memcg } => {
                let known = |(known, name): &(u32, String)| known == pid || name == comm;
                self.victims.is_empty()
                    || memcg.is_none()
                    || self.of_group && *memcg == Some(true)
                    || self.victims.iter().any(known)
            }
            Oom::NoVictim { .. } => self.victims.is_empty(),
            Oom::Group { .. } => !self.of_group,
        }
    }

    pub(super) fn take(&mut self, oom: Oom) {
        match oom {
            Oom::Invoked { mask, order, .. } => {
                (self.mask, self.order, self.invoked) = (mask, order, true);
            }
            Oom::TaskIn { task, limit_of } => {
                self.has_memcg_lines = true;
                self.task_memcg = Some(task);
                self.memcg.path = Some(limit_of);
            }
            Oom::Usage { what, usage, limit } => {
                self.has_memcg_lines = true;
                let limit = (limit < NO_LIMIT / 4096 * 4096).then_some(limit);
                match what {
                    Counter::Memory => (self.memcg.usage, self.memcg.limit) = (Some(usage), limit),
                    Counter::Kmem => {
                        (self.memcg.kmem_usage, self.memcg.kmem_limit) = (Some(usage), limit);
                    }
                    Counter::MemorySwap => {}
                    Counter::Swap => self.memcg.v2 = true,
                }
            }
            Oom::Stats { memcg, held } => {
                self.has_memcg_lines = true;
                // The first is the one at its limit, the others are below it.
                self.memcg.path.get_or_insert(memcg);
                if let Some(held) = held {
                    let sum = self.memcg.held.unwrap_or(0);
                    self.memcg.held = Some(sum.saturating_add(held));
                }
            }
            Oom::Summary(summary) => {
                if summary.oom_memcg.is_some() {
                    self.memcg.path.clone_from(&summary.oom_memcg);
                }
                self.summary = Some(summary);
            }
            Oom::Victim { pid, comm, memcg } => {
                self.of_memcg = self.of_memcg.or(memcg);
                let known = self.victims.iter().any(|(known, _)| *known == pid);
                if !known && self.victims.len() < MAX_PARTS {
                    self.victims.push((pid, comm));
                }
            }
            Oom::Group { memcg } => {
                self.memcg.path.get_or_insert(memcg);
                self.of_group = true;
            }
            Oom::NoVictim { memcg } => {
                self.of_memcg = self.of_memcg.or(Some(memcg));
            }
        }
    }
}
