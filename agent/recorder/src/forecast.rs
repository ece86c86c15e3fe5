//! When the node will run into a limit, if it goes on as it did: a robust slope over the last hour and the
//! last six, and no statement at all unless level and trend agree.
//!
//! Free memory falls on every healthy node: the page cache fills it. That free blocks become fewer
//! therefore means something only if what compaction can move becomes less too, or if compaction failed
//! lately.
mod series;
mod slope;

use std::collections::BTreeMap;

use fragwatch_core::model::{
    node::MAX_MEMORY_CGROUPS,
    sample::{Sample, SampleZone},
};

use self::series::Series;

/// What may run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Free blocks of at least this order.
    Order(u32),
    /// Memory that is free, or page cache.
    Memory,
    /// Ids of memory cgroups.
    MemoryCgroups,
    /// Another limit that can be counted, by its name in metrics, such as `pids`.
    Limit(&'static str),
}

impl Resource {
    /// Its name in metrics and reports.
    pub fn name(self) -> String {
        match self {
            Self::Order(order) => format!("order-{order}"),
            Self::Memory => "memory".to_owned(),
            Self::MemoryCgroups => "memory-cgroups".to_owned(),
            Self::Limit(name) => name.to_owned(),
        }
    }
}

/// What is known of a resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// What was left at the last observation.
    pub left: f64,
    /// How long that lasts, in seconds; `None` if level and trend don't agree that it runs out.
    pub seconds_to_failure: Option<f64>,
}

/// Forecasts of all resources. Observations are taken once a minute; more are ignored.
#[derive(Debug, Default)]
pub struct Forecast {
    resources: BTreeMap<Resource, Series>,
    /// Pages that are free, or that compaction can move.
    movable: Series,
    /// `compact_fail` of /proc/vmstat.
    failed_compactions: Series,
}

impl Forecast {
    /// Takes what a sample says of the orders that creations need, of memory, and of memory cgroups.
    pub fn sample(&mut self, sample: &Sample, orders: &[u32]) {
        let now_s = sample.time_ns as f64 / 1e9;
        let zones = || sample.zones.iter();
        let free: u64 = zones().map(SampleZone::free).sum();
        let pages = |pages: Option<u64>| pages.map(|pages| (free + pages) as f64);
        if let Some(vm) = &sample.vm {
            self.failed_compactions.observe(now_s, vm.compact_fail as f64);
            if let Some(movable) = pages(vm.lru_pages) {
                self.movable.observe(now_s, movable);
            }
            if let Some(left) = pages(vm.file_pages) {
                self.observe(Resource::Memory, now_s, left);
            }
        }
        for &order in orders {
            let blocks = zones().map(|zone| {
                let above = u64::try_from(zone.above_min).unwrap_or(0).checked_shr(order);
                zone.blocks_from(order).min(above.unwrap_or(0))
            });
            let blocks: u64 = blocks.sum();
            if !sample.zones.is_empty() {
                self.observe(Resource::Order(order), now_s, blocks as f64);
            }
        }
        if let Some(cgroups) = sample.memory_cgroups {
            let left = MAX_MEMORY_CGROUPS.saturating_sub(cgroups.count);
            self.observe(Resource::MemoryCgroups, now_s, left as f64);
        }
    }

    /// Takes what is left of a resource at `now_s`, in seconds of `CLOCK_MONOTONIC`.
    pub fn observe(&mut self, resource: Resource, now_s: f64, left: f64) {
        let series = self.resources.entry(resource).or_default();
        if series.observe(now_s, left) {
            let believable = match resource {
                Resource::Order(_) => {
                    self.movable.falls()
                        || self.failed_compactions.change().is_some_and(|n| n > 0.0)
                }
                Resource::Memory | Resource::MemoryCgroups | Resource::Limit(_) => true,
            };
            series.decide(believable);
        }
    }

    /// What is known of each resource.
    pub fn outlooks(&self) -> impl Iterator<Item = (Resource, Outlook)> + '_ {
        self.resources.iter().filter_map(|(resource, series)| {
            let left = series.level()?;
            let seconds_to_failure = series.seconds_to_failure();
            Some((*resource, Outlook { left, seconds_to_failure }))
        })
    }

    /// How long a resource lasts, in seconds; `None` if nothing says that it runs out.
    pub fn seconds_to_failure(&self, resource: Resource) -> Option<f64> {
        self.resources.get(&resource)?.seconds_to_failure()
    }
}

#[cfg(test)]
mod score_tests;
