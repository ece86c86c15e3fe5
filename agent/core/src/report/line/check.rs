//! The result of `check`.
use schemars::JsonSchema;
use serde::Serialize;

use super::time::Time;
use crate::model::status::CheckStatus;

/// Whether the next container could start.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    /// fragwatch's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The worst of all results.
    pub status: CheckStatus,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// One result per needed order, the lowest first.
    pub orders: Vec<OrderCheck>,
    /// Ids of memory cgroups; null if their number is not known.
    pub memory_cgroups: Option<IdCheck>,
    /// What `fragwatch serve` knows; null if it does not run here.
    pub serve: Option<Serve>,
    /// What the result does not take into account.
    pub not_seen: Vec<String>,
}

/// What a running `fragwatch serve` knows.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Serve {
    /// `starting`, `watching` or `stopping`.
    pub state: String,
    /// When it was started.
    pub started: Time,
    /// Creations that failed in the last hour.
    pub failed_last_hour: u64,
    /// The last failure that it reported.
    pub last_failure: Option<LastFailure>,
    /// What is left of each resource, and what was left earlier.
    pub trend: Vec<Trend>,
    /// What runs out if it goes on as in the last hours; empty unless level and trend agree.
    pub forecast: Vec<Forecast>,
}

/// A resource that runs out.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Forecast {
    /// `order-N`, `memory`, `memory-cgroups` or `pids`.
    pub resource: String,
    /// When, in seconds from now.
    pub seconds_to_failure: u64,
}

/// A failure that `serve` reported.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LastFailure {
    /// When.
    pub time: Time,
    /// Who, what and why, in a line.
    pub summary: String,
}

/// What is left of a resource, and what was left earlier.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Trend {
    /// `order-N` or `memory-cgroups`.
    pub resource: String,
    /// Blocks or ids that are left.
    pub left: u64,
    /// Those that were left then.
    pub left_before: u64,
    /// How long ago that was, in seconds.
    pub before_s: u64,
}

/// Whether a block of an order could be allocated.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OrderCheck {
    /// The order.
    pub order: u32,
    /// That in bytes.
    pub bytes: Option<u64>,
    /// Why it is needed: `asked` on the command line, `seen` in a trace, `kernel` for its minimum.
    pub from: &'static str,
    /// That in words.
    pub needed_for: String,
    /// How often and when creations asked for it, where it was seen.
    pub seen: Option<Seen>,
    /// The result.
    pub status: CheckStatus,
    /// The reason for it.
    pub reason: String,
    /// Blocks that could be allocated.
    pub blocks: u64,
    /// The zones that they could come from.
    pub zones: Vec<ZoneCheck>,
}

/// How often and when creations asked for an order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// When first.
    pub first: Time,
    /// When last.
    pub last: Time,
}

/// What a zone has for an order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ZoneCheck {
    /// NUMA node.
    pub node: Option<u32>,
    /// Its name.
    pub name: String,
    /// `usable`, or why not: `exhausted`, `fragmented`, `reserved`, `unknown`.
    pub offer: &'static str,
    /// Blocks that could be allocated, as far as the memory above the watermark goes.
    pub blocks: u64,
    /// Free memory.
    pub free_kib: u64,
    /// What ordinary allocations have to leave free.
    pub min_watermark_kib: u64,
    /// What is kept, beyond that, for allocations that can use nothing but lower zones.
    pub lowmem_reserve_kib: u64,
    /// What would be left above both after one such allocation; below 0 it is not possible.
    pub margin_kib: i64,
    /// Free blocks per order, from order 0.
    pub free_blocks: Vec<u64>,
    /// The kernel's fragmentation index, where it says something.
    pub fragmentation_index: Option<f64>,
}

/// Whether an id for another memory cgroup is left.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct IdCheck {
    /// The result.
    pub status: CheckStatus,
    /// All memory cgroups, dying ones included.
    pub count: u64,
    /// There may be fewer: cgroups without the memory controller are counted too.
    pub at_most: bool,
    /// Dying ones: removed, with memory that is still charged to them.
    pub dying: Option<u64>,
    /// How many ids there are.
    pub max: u64,
    /// Ids that are free for certain.
    pub left: u64,
}
