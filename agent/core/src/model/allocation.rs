//! Following one thread's page allocations from the slow path to what became of them.
use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

use crate::model::{
    event::{CompactResult, Failure, OomKill, OomScope},
    gfp::Gfp,
};

/// What became of an allocation that got into trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, VariantArray, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// It failed, and its caller most likely had no fallback.
    Failed,
    /// It failed, and its caller had a fallback: the mask says so, or all went well after.
    FellBack,
    /// It got its pages, after a stall.
    Recovered,
    /// It had the OOM killer called; what became of it then is not known.
    #[serde(rename = "oom")]
    #[strum(serialize = "oom")]
    CalledOomKiller,
    /// It met trouble, and how it came back can't be seen on this kernel.
    Unknown,
}

/// An allocation that failed or stalled.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// gfp mask.
    pub gfp: Gfp,
    /// Order.
    pub order: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// How long the task was in direct compaction and reclaim for it, in nanoseconds.
    pub stall_ns: u64,
    /// What each direct compaction came to, in time order.
    pub compactions: Vec<CompactResult>,
    /// Pages that direct reclaim freed for it.
    pub reclaimed: u64,
    /// What was read when it failed, when it had the OOM killer called, or when it began to wait.
    pub failure: Option<Failure>,
    /// When it failed, `CLOCK_MONOTONIC` in nanoseconds; `None` if it did not.
    pub failed_ns: Option<u64>,
}

impl Allocation {
    /// Whether its mask asks for a low zone (`GFP_DMA`, `GFP_DMA32`; these bits never moved).
    pub fn wants_low_zone(&self) -> bool {
        const GFP_DMA: u32 = 1;
        const GFP_DMA32: u32 = 4;
        self.gfp.raw & (GFP_DMA | GFP_DMA32) != 0
    }

    pub(crate) fn new(gfp: Gfp, order: u32) -> Self {
        Self {
            gfp,
            order,
            outcome: Outcome::Recovered,
            stall_ns: 0,
            compactions: Vec::new(),
            reclaimed: 0,
            failure: None,
            failed_ns: None,
        }
    }

    /// The allocation that triggered the OOM kill, as far as the kill shows.
    pub fn of_kill(kill: &OomKill) -> Option<Self> {
        // A memory cgroup's limit is not the page allocator's trouble.
        let (OomScope::Node, Some(gfp), Some(order)) = (&kill.scope, &kill.gfp, kill.order) else {
            return None;
        };
        let order = u32::try_from(order).ok()?;
        let (outcome, failure) = (Outcome::CalledOomKiller, kill.failure.clone());
        Some(Self { outcome, failure, ..Self::new(gfp.clone(), order) })
    }

    pub(crate) fn is(&self, gfp: &Gfp, order: u32) -> bool {
        self.gfp.raw == gfp.raw && self.order == order
    }

    pub(crate) fn in_trouble(&self) -> bool {
        self.outcome != Outcome::Recovered || self.failed_ns.is_some() || self.stall_ns != 0
    }
}
