//! A sample of the node's memory, taken once a second: what leads up to a failure. Counters count from
//! boot; what changed is the difference between two samples.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::node::MemoryCgroups;

/// What was read at one moment. What could not be read is left out.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// When, `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// Every zone that `GFP_KERNEL` may use and that has memory, at most [`MAX_ZONES`].
    pub zones: Vec<SampleZone>,
    /// Counters of /proc/vmstat.
    pub vm: Option<VmCounters>,
    /// Fallbacks to pageblocks of another migratetype.
    pub fallbacks: Option<Fallbacks>,
    /// Memory cgroups.
    pub memory_cgroups: Option<MemoryCgroups>,
    /// How long tasks waited for memory.
    pub pressure: Option<MemoryPressure>,
}

/// Zones in a sample.
pub const MAX_ZONES: usize = 8;

/// Orders in a sample: from 0 to `MAX_PAGE_ORDER` of x86-64.
pub const MAX_ORDERS: usize = 11;

/// A zone in a sample. Counts are pages of the kernel's page size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleZone {
    /// NUMA node.
    pub node: u32,
    /// The zone's name, such as `Normal`.
    pub name: String,
    /// Free pages, without those on the lists of CPUs, above the `min` watermark and the zone's reserve against `GFP_KERNEL`; negative if it
    /// has fewer.
    pub above_min: i64,
    /// Free blocks per order, from order 0.
    pub blocks: Vec<u64>,
}

/// Counters of /proc/vmstat (mm/vmstat.c `vmstat_text`).
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VmCounters {
    /// `compact_stall`: direct compactions.
    pub compact_stall: u64,
    /// `compact_fail`: of these, those without a free block at the end.
    pub compact_fail: u64,
    /// `compact_success`: of these, those with one.
    pub compact_success: u64,
    /// `compact_daemon_wake`: times that kcompactd was woken.
    pub compact_daemon_wake: u64,
    /// `allocstall_*` of all zones: direct reclaims.
    pub allocstall: u64,
    /// `pgscan_direct`: pages that direct reclaim looked at.
    pub pgscan_direct: u64,
    /// `pgsteal_direct`: pages that direct reclaim freed.
    pub pgsteal_direct: u64,
    /// `pgsteal_kswapd`: pages that kswapd freed.
    pub pgsteal_kswapd: u64,
    /// `oom_kill`: processes that the OOM killer killed.
    pub oom_kill: u64,
    /// `nr_free_pages_blocks`, a level, not a counter: free pages in whole free pageblocks (6.15 and
    /// later).
    pub free_pages_blocks: Option<u64>,
    /// A level: pages that compaction can move, `nr_{active,inactive}_{anon,file}`.
    pub lru_pages: Option<u64>,
    /// A level: of these, the page cache, `nr_{active,inactive}_file`.
    pub file_pages: Option<u64>,
}

/// Migratetypes between which allocations fall back (include/linux/mmzone.h `enum migratetype`).
pub const MIGRATETYPES: [&str; 3] = ["unmovable", "movable", "reclaimable"];

/// Allocations that found no free block of their migratetype and took one of another
/// (`mm_page_alloc_extfrag`): `counts[wanted][stolen]`, in the order of [`MIGRATETYPES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallbacks {
    /// The counts.
    pub counts: [[u64; 3]; 3],
}

/// `total` of /proc/pressure/memory, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPressure {
    /// At least one task waited.
    pub some_us: u64,
    /// All tasks that were not idle waited.
    pub full_us: u64,
}

impl SampleZone {
    /// Free pages, without those on the lists of CPUs.
    pub fn free(&self) -> u64 {
        self.blocks_from(0)
    }

    /// Free blocks of at least `order`, counted as blocks of `order`.
    pub fn blocks_from(&self, order: u32) -> u64 {
        let larger = self.blocks.iter().enumerate().skip(order as usize);
        larger.fold(0, |sum: u64, (at, count)| {
            let each = 1u64.checked_shl(at as u32 - order).unwrap_or(u64::MAX);
            sum.saturating_add(count.saturating_mul(each))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_blocks_count_as_several() {
        let zone = SampleZone { blocks: vec![9, 9, 3, 1, 2], ..SampleZone::default() };
        assert_eq!(zone.blocks_from(2), 3 + 2 + 2 * 4);
        assert_eq!(zone.blocks_from(4), 2);
        assert_eq!(zone.blocks_from(5), 0);
        assert_eq!(zone.blocks_from(400), 0);
    }
}
