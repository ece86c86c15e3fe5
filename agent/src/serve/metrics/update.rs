//! From what is seen to the metrics.
use std::{sync::atomic::Ordering, time::Duration};

use fragwatch_core::{
    correlate::Correlated,
    model::{
        event::{Event, EventKind},
        hook::HookStatus,
        loss::{Loss, OutsideCounts},
        node::{MAX_MEMORY_CGROUPS, MemoryCgroups, NodeZone},
        sample::{Fallbacks, MIGRATETYPES},
        status::CheckStatus,
        step::Outcome,
        zone::fragmentation_index,
    },
    report::{
        line::creation::{Creation, Step},
        view,
    },
};
use fragwatch_recorder::store;
use strum::VariantArray as _;

use crate::serve::trend::Outlook;

use super::{
    Counters, Labels, Metrics,
    labels::{self, labels},
};

/// Zones that have series. A machine with more has the rest in no metric.
const MAX_ZONES: usize = 8;

/// Needed orders that have series, the highest first.
const MAX_NEEDED: usize = 6;

/// What is known of this process.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::serve) struct Process {
    pub(in crate::serve) cpu: Duration,
    pub(in crate::serve) resident_bytes: u64,
    pub(in crate::serve) open_fds: u64,
    pub(in crate::serve) max_fds: u64,
    /// Since 1970.
    pub(in crate::serve) started: Duration,
}

impl Metrics {
    /// Counts steps that ended.
    pub(in crate::serve) fn count(&self, correlated: &[Correlated]) {
        for one in correlated {
            let Correlated::CreationStep(step) = one else { continue };
            if step.is_start && step.continues().is_none() {
                let name = labels::step(view::step_name(&step.kind));
                let labels = labels([("step", name), ("outcome", step.outcome().into())]);
                self.creations.get_or_create(&labels).inc();
            }
        }
    }

    /// Counts so many more creations that ended without trouble, of which there are no events.
    pub(in crate::serve) fn count_untroubled(&self, more: u64) {
        let step: &str = Step::Namespaces.into();
        let labels = labels([("step", step), ("outcome", Outcome::Ok.into())]);
        self.creations.get_or_create(&labels).inc_by(more);
    }

    /// Counts a step in trouble, which ended at `now`, in seconds since 1970.
    pub(in crate::serve) fn count_trouble(&self, creation: &Creation, now: f64) {
        for allocation in &creation.allocations {
            if labels::is_failure(allocation.outcome) {
                let order = labels::order(allocation.order);
                let labels = labels([("order", &order), ("outcome", allocation.outcome.into())]);
                self.allocations.get_or_create(&labels).inc();
            }
        }
        let Some(verdict) = &creation.verdict else { return };
        if creation.outcome == Outcome::Failed && creation.continues.is_none() {
            let cause: &str = verdict.cause.into();
            let of_failure = labels([
                ("step", labels::step(creation.step)),
                ("cause", cause),
                ("confidence", verdict.confidence.into()),
            ]);
            self.failures.get_or_create(&of_failure).inc();
            self.last_failure.get_or_create(&labels([("cause", cause)])).set(now);
        }
    }

    /// Notes how long a creation waited.
    pub(in crate::serve) fn observe(&self, event: &Event) {
        let (kind, stall_ns) = match &event.kind {
            EventKind::CompactionEnded { stall_ns, .. } => (0, *stall_ns),
            EventKind::ReclaimEnded { stall_ns, .. } => (1, *stall_ns),
            EventKind::MemcgReclaimEnded { stall_ns, .. } => (2, *stall_ns),
            _ => return,
        };
        let labels = labels([("kind", labels::STALLS[kind])]);
        let stall = Duration::from_nanos(stall_ns);
        self.stalls.get_or_create(&labels).observe(stall.as_secs_f64());
    }

    /// Sets what is known of zones. `needed` are the orders that creations need, in ascending order.
    pub(in crate::serve) fn set_zones(&self, zones: &[NodeZone], needed: &[u32]) {
        for zone in zones.iter().take(MAX_ZONES) {
            let of = |order: u32| -> Labels {
                let (node, order) = (zone.node.to_string(), labels::order(order));
                labels([("node", &node), ("zone", &zone.name), ("order", &order)])
            };
            for (order, blocks) in (0..).zip(&zone.blocks).take(labels::ORDERS) {
                self.free_blocks.get_or_create(&of(order)).set(*blocks as f64);
            }
            for &order in needed.iter().rev().take(MAX_NEEDED) {
                let index = fragmentation_index(&zone.blocks, order) as f64 / 1000.0;
                self.fragmentation_index.get_or_create(&of(order)).set(index);
            }
        }
    }

    /// Sets how many allocations have taken a block of another migratetype so far.
    pub(in crate::serve) fn set_fallbacks(&self, fallbacks: Fallbacks) {
        for (wanted, counts) in MIGRATETYPES.into_iter().zip(fallbacks.counts) {
            for (stolen, count) in MIGRATETYPES.into_iter().zip(counts) {
                if stolen != wanted {
                    let labels = labels([("wanted", wanted), ("stolen", stolen)]);
                    set(&self.fallbacks, &labels, count);
                }
            }
        }
    }

    /// Sets how many memory cgroups there are.
    pub(in crate::serve) fn set_memory_cgroups(&self, cgroups: MemoryCgroups) {
        let set = |state, count: u64| {
            self.memory_cgroups.get_or_create(&labels([("state", state)])).set(count as f64);
        };
        set("alive", cgroups.alive());
        set("dying", cgroups.dying.unwrap_or_default());
        self.memory_cgroups_limit.set(MAX_MEMORY_CGROUPS as f64);
    }

    /// Sets how long each resource lasts.
    pub(in crate::serve) fn set_forecast(&self, outlooks: &[Outlook]) {
        for outlook in outlooks.iter().take(MAX_NEEDED + labels::RESOURCES.len()) {
            let labels = labels([("resource", &outlook.resource)]);
            let seconds = outlook.seconds_to_failure.unwrap_or(f64::INFINITY);
            self.forecast.get_or_create(&labels).set(seconds);
        }
    }

    /// Sets what `check` would say.
    pub(in crate::serve) fn set_check(&self, status: CheckStatus) {
        for one in CheckStatus::VARIANTS {
            let labels = labels([("status", one.into())]);
            self.check_status.get_or_create(&labels).set(f64::from(u8::from(*one == status)));
        }
    }

    /// Sets what became of each hook.
    pub(in crate::serve) fn set_hooks(&self, hooks: &[HookStatus]) {
        self.hooks.clear();
        for hook in hooks {
            let via = hook.via.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            let name = view::hook(hook).name;
            let labels = labels([("hook", &name), ("via", &via), ("state", hook.state.into())]);
            self.hooks.get_or_create(&labels).set(1.0);
        }
    }

    /// Sets what was lost so far.
    pub(in crate::serve) fn set_loss(&self, loss: Loss) {
        let counts = [
            loss.creation_events,
            loss.other_events,
            loss.cgroup_events,
            loss.untracked_creations,
            loss.unseen_returns,
            loss.missed_runs,
        ];
        for ((ring, reason), count) in labels::LOST.into_iter().zip(counts) {
            set(&self.lost, &labels([("ring", ring), ("reason", reason)]), count);
        }
    }

    /// Sets what was counted outside creations so far.
    pub(in crate::serve) fn set_outside(&self, outside: OutsideCounts) {
        let failures = outside.failures.unwrap_or_default();
        let counts = [outside.slow_paths, failures, outside.compactions, outside.reclaims];
        for (what, count) in labels::OUTSIDE.into_iter().zip(counts) {
            set(&self.outside, &labels([("what", what)]), count);
        }
    }

    /// Counts a report that was left out.
    pub(in crate::serve) fn count_suppressed(&self) {
        self.suppressed.inc();
    }

    /// Sets how the store is.
    pub(in crate::serve) fn set_store(&self, store: &store::Status) {
        self.store_bytes.set(store.bytes as f64);
        self.store_max_bytes.set(store.max_bytes as f64);
        let oldest = store.oldest().map_or(0.0, |at| at.as_millisecond() as f64 / 1000.0);
        self.store_oldest.set(oldest);
        let errors = store.errors;
        let counts = [errors.full, errors.io, errors.read_only, errors.other];
        for (reason, count) in labels::STORE_ERRORS.into_iter().zip(counts) {
            set(&self.store_errors, &labels([("reason", reason)]), count);
        }
        self.store_dropped.inner().store(store.dropped, Ordering::Relaxed);
    }

    /// Sets what is known of this process.
    pub(in crate::serve) fn set_process(&self, process: Process) {
        self.cpu.inner().store(process.cpu.as_secs_f64().to_bits(), Ordering::Relaxed);
        self.resident_bytes.set(process.resident_bytes as f64);
        self.open_fds.set(process.open_fds as f64);
        self.max_fds.set(process.max_fds as f64);
        self.start_time.set(process.started.as_secs_f64());
    }
}

/// Sets a counter to what something else has counted.
fn set(counters: &Counters, labels: &Labels, count: u64) {
    counters.get_or_create(labels).inner().store(count, Ordering::Relaxed);
}
