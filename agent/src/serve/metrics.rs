//! The metrics. This file is their one table: `docs/metrics.md` is generated from what is registered
//! here. Label values come from fixed lists, from zones and from hooks; nothing that a container, a
//! cgroup or a process is called ever becomes one.
mod labels;
mod text;
mod update;

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

pub(super) use self::{text::Exposition, update::Process};

/// Labels of a series.
type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;
type Number = Gauge<f64, AtomicU64>;

/// Upper bounds of the histogram of stalls, in seconds.
const STALL_BUCKETS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// All metrics.
pub(super) struct Metrics {
    registry: Registry,
    creations: Counters,
    failures: Counters,
    allocations: Counters,
    stalls: Family<Labels, Histogram, fn() -> Histogram>,
    last_failure: Gauges,
    free_blocks: Gauges,
    fragmentation_index: Gauges,
    memory_cgroups: Gauges,
    memory_cgroups_limit: Number,
    check_status: Gauges,
    forecast: Gauges,
    hooks: Gauges,
    outside: Counters,
    fallbacks: Counters,
    lost: Counters,
    suppressed: Counter,
    store_bytes: Number,
    store_max_bytes: Number,
    store_oldest: Number,
    store_errors: Counters,
    store_dropped: Counter,
    cpu: Counter<f64, AtomicU64>,
    resident_bytes: Number,
    open_fds: Number,
    max_fds: Number,
    start_time: Number,
}

impl Metrics {
    /// Everything registered, and zero where the label values are known beforehand.
    pub(super) fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            creations: Family::default(),
            failures: Family::default(),
            allocations: Family::default(),
            stalls: Family::new_with_constructor(|| Histogram::new(STALL_BUCKETS)),
            last_failure: Family::default(),
            free_blocks: Family::default(),
            fragmentation_index: Family::default(),
            memory_cgroups: Family::default(),
            memory_cgroups_limit: Number::default(),
            check_status: Family::default(),
            forecast: Family::default(),
            hooks: Family::default(),
            outside: Family::default(),
            fallbacks: Family::default(),
            lost: Family::default(),
            suppressed: Counter::default(),
            store_bytes: Number::default(),
            store_max_bytes: Number::default(),
            store_oldest: Number::default(),
            store_errors: Family::default(),
            store_dropped: Counter::default(),
            cpu: Counter::default(),
            resident_bytes: Number::default(),
            open_fds: Number::default(),
            max_fds: Number::default(),
            start_time: Number::default(),
        };
        metrics.initialise();
        metrics.register()
    }

    fn register(mut self) -> Self {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("fragwatch");
        self.register_creations(own);
        self.register_node(own);
        self.register_fragwatch(own);
        self.register_process(registry.sub_registry_with_prefix("process"));
        self.registry = registry;
        self
    }

    /// Creations, and why they failed.
    fn register_creations(&self, own: &mut Registry) {
        own.register(
            "creations",
            "Steps of container creations that ended, by how they ended",
            self.creations.clone(),
        );
        own.register(
            "creation_failures",
            "Steps of container creations that failed, by cause",
            self.failures.clone(),
        );
        own.register(
            "allocations_failed",
            "Page allocations of creations that came back without pages, by order",
            self.allocations.clone(),
        );
        own.register_with_unit(
            "stall",
            "How long creations waited for memory each time",
            Unit::Seconds,
            self.stalls.clone(),
        );
        own.register_with_unit(
            "last_failure_timestamp",
            "When a creation last failed for that cause, since 1970; 0 if it has not since the start",
            Unit::Seconds,
            self.last_failure.clone(),
        );
    }

    /// The node's memory.
    fn register_node(&self, own: &mut Registry) {
        own.register(
            "free_blocks",
            "Free blocks of that order; what larger blocks could be split into does not count",
            self.free_blocks.clone(),
        );
        own.register(
            "fragmentation_index",
            "The kernel's fragmentation index for an order that creations need: towards 0 memory is \
             lacking, towards 1 it is fragmented, below 0 a block is free",
            self.fragmentation_index.clone(),
        );
        own.register(
            "extfrag_fallbacks",
            "Allocations that found no free block of their migratetype and took one of another: many \
             of them come before high-order allocations fail",
            self.fallbacks.clone(),
        );
        own.register(
            "memory_cgroups",
            "Memory cgroups; dying ones are removed and still hold memory",
            self.memory_cgroups.clone(),
        );
        own.register(
            "memory_cgroups_limit",
            "How many memory cgroups there can be",
            self.memory_cgroups_limit.clone(),
        );
        own.register(
            "check_status",
            "What fragwatch check would say now: 1 for the status that holds",
            self.check_status.clone(),
        );
        own.register(
            "forecast_seconds_to_failure",
            "When the resource runs out if it goes on as in the last hours; +Inf unless level and trend \
             agree that it does",
            self.forecast.clone(),
        );
    }

    /// What is seen, and what is kept.
    fn register_fragwatch(&self, own: &mut Registry) {
        own.register("hook_info", "What each hook is attached to", self.hooks.clone());
        own.register(
            "outside_creations",
            "What happened on the node outside creations",
            self.outside.clone(),
        );
        own.register("events_lost", "Events that did not reach fragwatch", self.lost.clone());
        own.register(
            "reports_suppressed",
            "Failures that were counted and not reported, because one cgroup or user had too many",
            self.suppressed.clone(),
        );
        own.register_with_unit(
            "store",
            "What the store takes on disk",
            Unit::Bytes,
            self.store_bytes.clone(),
        );
        own.register_with_unit(
            "store_max",
            "What the store may take on disk; 0 without a store",
            Unit::Bytes,
            self.store_max_bytes.clone(),
        );
        own.register_with_unit(
            "store_oldest_timestamp",
            "When the oldest segment of the store was begun, since 1970; 0 if it is empty",
            Unit::Seconds,
            self.store_oldest.clone(),
        );
        own.register(
            "store_errors",
            "Writes to the store that failed; they are tried again",
            self.store_errors.clone(),
        );
        own.register(
            "store_dropped",
            "Entries that the store lacks, because too many waited for the disk",
            self.store_dropped.clone(),
        );
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        let build = Gauges::default();
        build.get_or_create(&version).set(1.0);
        own.register("build_info", "This fragwatch", build);
    }

    /// This process, by the names that all programs use.
    fn register_process(&self, process: &mut Registry) {
        process.register_with_unit(
            "cpu",
            "CPU time that fragwatch used",
            Unit::Seconds,
            self.cpu.clone(),
        );
        process.register_with_unit(
            "resident_memory",
            "Resident memory of fragwatch",
            Unit::Bytes,
            self.resident_bytes.clone(),
        );
        process.register("open_fds", "Open file descriptors", self.open_fds.clone());
        process.register("max_fds", "Limit of open file descriptors", self.max_fds.clone());
        process.register_with_unit(
            "start_time",
            "When fragwatch was started, since 1970",
            Unit::Seconds,
            self.start_time.clone(),
        );
    }
}

#[cfg(test)]
mod tests;
