//! The samples around a failure.
use schemars::JsonSchema;
use serde::Serialize;

use super::{node::MemoryCgroups, time::Time};
use crate::model::trigger::Trigger;

/// What the flight recorder of `serve` wrote down around a trigger. Every sample is in the store: see
/// `capture export`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Recording {
    /// When it was triggered.
    pub time: Time,
    /// Why.
    pub trigger: Trigger,
    /// The first sample.
    pub from: Time,
    /// The last sample.
    pub until: Time,
    /// Samples in all.
    pub samples: u64,
    /// What was counted from the first sample to the last; null if it could not be read.
    pub counted: Option<Counted>,
    /// How long at least one task waited for memory, from the first sample to the last; null if the
    /// kernel does not measure it.
    pub waited_us: Option<u64>,
    /// Some of the samples, evenly spaced, and the one before the trigger.
    pub points: Vec<Point>,
}

/// Counters of /proc/vmstat, as differences.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Counted {
    /// Direct compactions.
    pub compactions: u64,
    /// Of these, those without a free block at the end.
    pub failed_compactions: u64,
    /// Direct reclaims.
    pub reclaims: u64,
    /// Processes that the OOM killer killed.
    pub oom_kills: u64,
    /// Allocations that took a block of another migratetype; null if they were not counted.
    pub fallbacks: Option<u64>,
}

/// A sample.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Point {
    /// When.
    pub time: Time,
    /// Zones that `GFP_KERNEL` may use.
    pub zones: Vec<PointZone>,
    /// Memory cgroups.
    pub memory_cgroups: Option<MemoryCgroups>,
}

/// A zone in a sample.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PointZone {
    /// NUMA node.
    pub node: u32,
    /// Its name, `Normal`.
    pub name: String,
    /// Free memory, without that on the lists of CPUs.
    pub free_kib: u64,
    /// Of that, what is above the `min` watermark and the zone's reserve; below 0 if there is less.
    pub above_min_kib: i64,
    /// Free blocks per order, from order 0.
    pub free_blocks: Vec<u64>,
}
