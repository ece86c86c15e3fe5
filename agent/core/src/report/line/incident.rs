//! A failure outside a creation's steps.
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    allocation::{Allocation, Gfp},
    container::{Cgroup, Container},
    memcg::{ForkRefused, Memcg, OomKill},
    node::Node,
    notice::{ExcludedZones, HungTask, PercpuFailure, UnitTasks},
    slab::{SlabCache, SlabFailure, Vmalloc},
    time::Time,
    verdict::Verdict,
};
use crate::model::step::Outcome;

/// A failure outside a creation's steps: seen live, or found in a log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Incident {
    /// When.
    pub time: Option<Time>,
    /// Where in a log it was found; absent if it was seen live.
    #[serde(flatten)]
    pub log: Option<LogPlace>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The error that a program or the kernel names.
    pub errno: Option<String>,
    /// The process that asked for memory; victims of the OOM killer are in `oom_kills`.
    pub pid: Option<u32>,
    /// The thread.
    pub tid: Option<u32>,
    /// Its name.
    pub comm: Option<String>,
    /// Its cgroup.
    pub cgroup: Option<Cgroup>,
    /// The container that it is about.
    pub container: Option<Container>,
    /// Allocations in trouble, in time order.
    pub allocations: Vec<Allocation>,
    /// Slab caches that could not be created.
    pub slab_caches: Vec<SlabCache>,
    /// Slab caches that got no pages.
    pub slab_failures: Vec<SlabFailure>,
    /// vmalloc that failed.
    pub vmalloc: Vec<Vmalloc>,
    /// Calls of the OOM killer and their victims; null if that is not watched.
    pub oom_kills: Option<Vec<OomKill>>,
    /// The memory cgroup that was at its limit.
    pub memcg: Option<Memcg>,
    /// Forks that were refused.
    pub fork_refused: Option<ForkRefused>,
    /// Tasks of the unit in which a process was refused, as read at another time; of a log.
    pub tasks: Option<UnitTasks>,
    /// `kernel.pid_max`, where a process was refused; of a log.
    pub pid_max: Option<u64>,
    /// The per-CPU allocator failed; of a log.
    pub percpu: Option<PercpuFailure>,
    /// A task hangs in compaction or reclaim; of a log.
    pub hung: Option<HungTask>,
    /// Free memory that the allocation was kept from; of a log.
    pub excluded: Option<ExcludedZones>,
    /// The node's memory, read at another time.
    pub node: Option<Node>,
    /// Why.
    pub verdict: Verdict,
}

/// Where in a log an incident was found, and what only a log has.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogPlace {
    /// The log's name; `-` is standard input.
    pub file: String,
    /// Numbers of its first and last line, from 1.
    pub lines: [u64; 2],
    /// Other logs in which it is, too.
    pub also_in: Vec<LogPart>,
    /// The host that logged it.
    pub host: Option<String>,
    /// When, since boot.
    pub boot_us: Option<u64>,
    /// What programs say of the container that didn't start, in time order.
    pub messages: Vec<Message>,
    /// What the first mask can mean, where the kernel is not known.
    pub gfp_readings: Vec<GfpReading>,
}

/// Lines of a log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogPart {
    /// The log's name.
    pub file: String,
    /// Numbers of the first and the last line, from 1.
    pub lines: [u64; 2],
}

/// What a program says of a container that didn't start.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Message {
    /// The program.
    pub program: Option<String>,
    /// The error that it names.
    pub errno: Option<String>,
    /// What went wrong, as far as it says.
    pub reason: Option<String>,
    /// What it says, shortened.
    pub said: String,
}

/// What a mask means on some kernels.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GfpReading {
    /// On which, `3.0 to 3.15`.
    pub kernels: String,
    /// What it means there.
    #[serde(flatten)]
    pub gfp: Gfp,
}
