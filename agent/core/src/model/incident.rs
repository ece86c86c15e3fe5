//! A failure outside a creation's steps, seen live or found in a log. What a source can't know is
//! `None` or empty.
use super::{
    allocation::Allocation,
    container::Container,
    event::{CgroupPath, ForkRefused, OomKill},
    gfp::GfpReading,
    kernel_version::KernelVersion,
    log_time::LogTime,
    memcg::MemcgState,
    node::{Buddyinfo, NodeMemory},
    notice::{ExcludedZones, HungTask, PercpuFailed, UnitTasks},
    program_message::ContainerFailure,
    slab::{SlabCache, SlabFailed},
    vmalloc::VmallocFailed,
};

/// One failure: an allocation that failed or stalled, processes that were killed, a fork that was
/// refused, a container that didn't start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Incident {
    /// Where it comes from.
    pub source: Source,
    /// The kernel's release, if the source says it or it was given.
    pub kernel: Option<KernelVersion>,
    /// The kernel's page size in bytes.
    pub page_size: u64,
    /// The process that asked for memory or whose start failed, if it is known. Victims of the OOM
    /// killer are in [`Self::oom_kills`].
    pub pid: Option<u32>,
    /// The thread.
    pub tid: Option<u32>,
    /// Its name, from outside.
    pub comm: Option<String>,
    /// Id of its cgroup, as in [`super::event::Task::cgroup_id`].
    pub cgroup_id: Option<u64>,
    /// The cgroup of that task, as far as it is known: a path, or the last part of one where a log
    /// has no more.
    pub cgroup: Option<CgroupPath>,
    /// The container that it is about, as far as the source names it.
    pub container: Option<Container>,
    /// The error that a program or the kernel names, as a positive errno.
    pub errno: Option<i32>,
    /// Allocations in trouble, in time order.
    pub allocations: Vec<Allocation>,
    /// vmalloc that failed.
    pub vmalloc: Vec<VmallocFailed>,
    /// Slab caches that got no pages.
    pub slab_failures: Vec<SlabFailed>,
    /// Slab caches that could not be created.
    pub slab_caches: Vec<SlabCache>,
    /// Processes that the OOM killer killed; its call alone if it found none or they are not known.
    pub oom_kills: Vec<OomKill>,
    /// The memory cgroup that was at its limit.
    pub memcg: Option<MemcgState>,
    /// Forks that were refused.
    pub fork_refused: Option<ForkRefused>,
    /// Tasks of the unit in which one was refused, as read at another time.
    pub tasks: Option<UnitTasks>,
    /// `kernel.pid_max`, where a process was refused.
    pub pid_max: Option<u64>,
    /// The per-CPU allocator failed.
    pub percpu: Option<PercpuFailed>,
    /// A task hangs in reclaim or compaction.
    pub hung: Option<HungTask>,
    /// Free memory that the task was kept from.
    pub excluded: Option<ExcludedZones>,
    /// What programs say of the container that didn't start, in time order.
    pub messages: Vec<ContainerFailure>,
    /// The node's memory as a whole.
    pub memory: Option<NodeMemory>,
    /// What is missing, in sentences.
    pub gaps: Vec<String>,
}

/// Where an incident comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// It was seen in the kernel.
    Live {
        /// Its last event, `CLOCK_MONOTONIC` in nanoseconds.
        time_ns: u64,
    },
    /// It was found in a log.
    Log(LogSource),
}

impl Default for Source {
    fn default() -> Self {
        Self::Live { time_ns: 0 }
    }
}

/// Where in a log an incident was found, and what a log alone has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogSource {
    /// Numbers of its first and last line, from 1.
    pub lines: (u64, u64),
    /// When it began.
    pub time: Option<LogTime>,
    /// The host that logged it.
    pub host: Option<String>,
    /// What the masks without names can mean, where the kernel is not known: the first
    /// allocation's readings with the kernels that they hold for.
    pub readings: Vec<GfpReading>,
    /// What /proc/buddyinfo said at another time.
    pub buddyinfo: Vec<Buddyinfo>,
    /// Other logs in which it is, too.
    pub also_in: Vec<LogPart>,
}

/// Lines of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// The log's name.
    pub file: String,
    /// Numbers of the first and the last line, from 1.
    pub lines: (u64, u64),
}

impl Incident {
    /// Whether it concerns containers wherever it happened: the OOM killer was called for a block of
    /// pages, which can kill while memory is free, or killed a container's process.
    pub fn is_news(&self) -> bool {
        let is_news =
            |kill: &OomKill| kill.order.is_some_and(|order| order > 0) || kill.container.is_some();
        self.oom_kills.iter().any(is_news)
    }

    /// Where in a log it was found; `None` if it was seen live.
    pub fn log(&self) -> Option<&LogSource> {
        match &self.source {
            Source::Log(log) => Some(log),
            Source::Live { .. } => None,
        }
    }
}
