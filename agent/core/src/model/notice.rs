//! What the kernel prints into a log and no event has.
use schemars::JsonSchema;
use serde::Serialize;

/// The per-CPU allocator found no room (mm/percpu.c `pcpu_alloc`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PercpuFailed {
    /// Bytes that were asked for, for each CPU.
    pub bytes: Option<u64>,
    /// It may not wait.
    pub atomic: bool,
    /// The step that failed, in the kernel's words; from outside.
    pub reason: String,
}

impl PercpuFailed {
    /// Whether a page was lacking, as far as the kernel says; otherwise room in the allocator's own
    /// chunks may have been.
    pub fn lacks_pages(&self) -> bool {
        self.reason.contains("populate") || self.reason.contains("new chunk")
    }
}

/// A task that the kernel reports to hang (kernel/hung_task.c).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HungTask {
    /// For how many seconds it was blocked at least.
    pub seconds: u64,
    /// What it waits in, as its stack says.
    pub waits_in: HungIn,
}

/// What a task waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HungIn {
    /// Direct compaction: it needs a large block.
    Compaction,
    /// Direct reclaim: it needs pages.
    Reclaim,
}

/// Zones with free memory that a cpuset or memory policy, or its own mask, kept from an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExcludedZones {
    /// The nodes that were allowed: `2`, `0-1`.
    pub nodes: String,
    /// No zone of these nodes was one that the allocation may use.
    pub none_in_reach: bool,
    /// What lay free in zones that it could not use, in bytes.
    pub free: u64,
    /// The one of these with most free memory.
    pub zone: String,
}

/// Processes and threads of a systemd unit, as `systemctl status` shows them at another time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitTasks {
    /// The unit, `docker.service`.
    pub unit: Option<String>,
    /// How many it has.
    pub count: u64,
    /// How many it may have.
    pub limit: u64,
}

impl UnitTasks {
    /// Whether no more fit, but for one in a hundred.
    pub fn is_full(&self) -> bool {
        self.count >= self.limit - self.limit / 100
    }
}
