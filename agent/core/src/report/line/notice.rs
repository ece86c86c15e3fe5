//! What the kernel prints into a log of failures that no other line describes.
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::notice::HungIn;

/// The per-CPU allocator found no room (mm/percpu.c `pcpu_alloc`).
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PercpuFailure {
    /// Bytes that were asked for, for each CPU.
    pub bytes: Option<u64>,
    /// Whether it may not wait.
    pub atomic: bool,
    /// The step that failed, in the kernel's words.
    pub reason: String,
    /// Whether the kernel's words say that a page was lacking.
    pub lacks_pages: bool,
}

/// A task that the kernel reports to hang (kernel/hung_task.c).
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HungTask {
    /// For how many seconds it was blocked at least.
    pub seconds: u64,
    /// What it waits in, as its stack says.
    pub waits_in: HungIn,
}

/// Free memory that a cpuset, a memory policy or the gfp mask kept from an allocation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExcludedZones {
    /// The nodes that were allowed, `0-1`.
    pub nodes: String,
    /// Whether no zone of these nodes was one that the allocation may use.
    pub none_in_reach: bool,
    /// What lay free in zones that it could not use.
    pub free_kib: u64,
    /// The one of these with most free memory.
    pub zone: String,
}

/// Processes and threads of a systemd unit, as `systemctl status` shows them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UnitTasks {
    /// The unit.
    pub unit: Option<String>,
    /// How many it has.
    pub count: u64,
    /// How many it may have.
    pub limit: u64,
}
