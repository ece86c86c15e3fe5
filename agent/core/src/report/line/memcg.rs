//! Limits of cgroups, and the OOM killer.
use schemars::JsonSchema;
use serde::Serialize;

use super::{allocation::Gfp, container::Container};

/// A charge to a memory cgroup that failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChargeFailed {
    /// Path of the memory cgroup.
    pub memcg: Option<String>,
    /// How much was to be charged.
    pub bytes: Option<u64>,
    /// gfp mask of the charge.
    pub gfp: Option<Gfp>,
    /// What the cgroup whose limit it hit used then.
    pub usage_kib: Option<u64>,
    /// That limit.
    pub limit_kib: Option<u64>,
    /// Which of its limits: `memory`, on v1 also `kmem` or `memory-swap`.
    pub limit_kind: Option<String>,
    /// How often it was refused in a row, while the kernel made room and tried again.
    pub refusals: Option<u32>,
    /// The error.
    pub errno: String,
}

/// Reclaim of a memory cgroup's memory for its charges.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MemcgReclaims {
    /// Path of the cgroup that was at its limit last.
    pub memcg: Option<String>,
    /// How often.
    pub count: u64,
    /// What it freed.
    pub reclaimed_kib: u64,
    /// How long it took.
    pub stall_us: u64,
}

/// A memory cgroup at its limit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Memcg {
    /// Its path.
    pub path: Option<String>,
    /// What it used.
    pub usage_kib: Option<u64>,
    /// Its limit.
    pub limit_kib: Option<u64>,
    /// What of `usage_kib` the kernel used for it (cgroup v1).
    pub kmem_usage_kib: Option<u64>,
    /// The limit of that.
    pub kmem_limit_kib: Option<u64>,
    /// What its tasks and its page cache held.
    pub held_kib: Option<u64>,
}

/// A call of the OOM killer, and the process that it killed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OomKill {
    /// The victim's process id.
    pub pid: Option<u32>,
    /// The victim's name; null if there was no victim, or it is not known.
    pub comm: Option<String>,
    /// Path of the victim's cgroup.
    pub cgroup: Option<String>,
    /// The victim's container.
    pub container: Option<Container>,
    /// Order of the allocation that called the OOM killer; -1 is a request by hand (sysrq).
    pub order: Option<i32>,
    /// gfp mask of that allocation.
    pub gfp: Option<Gfp>,
    /// Whose memory ran out: `node` or `memcg`.
    pub scope: Option<&'static str>,
    /// Path of the memory cgroup, where `scope` is `memcg`.
    pub memcg: Option<String>,
    /// It was called for a page fault: order and mask are not those of the allocation that failed.
    pub page_fault: bool,
}

/// Forks that were refused because a cgroup has as many processes as it may have.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ForkRefused {
    /// The cgroup with that limit.
    pub cgroup: Option<String>,
    /// Processes and threads in it.
    pub processes: Option<u64>,
    /// Its limit.
    pub limit: Option<u64>,
    /// How many refusals a log has.
    pub times: Option<u64>,
}
