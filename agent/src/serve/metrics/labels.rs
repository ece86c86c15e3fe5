//! The label values that are known beforehand. Their series are there from the start, so that a rate
//! or an alert sees the first event.
use fragwatch_core::{
    model::{
        allocation,
        sample::MIGRATETYPES,
        status::CheckStatus,
        step::Outcome,
        verdict::{Cause, Confidence},
    },
    report::line::creation::Step,
};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use strum::VariantArray as _;

use super::{Labels, Metrics};

/// The highest order with a label of its own: `MAX_PAGE_ORDER` of x86-64.
const MAX_ORDER: u32 = 10;

/// Orders with a label of their own.
pub(super) const ORDERS: usize = MAX_ORDER as usize + 1;

/// What creations wait for, in the order of `Metrics::observe`.
pub(super) const STALLS: [&str; 3] = ["compaction", "reclaim", "memcg"];

/// What may run out, beside the orders that creations need.
pub(super) const RESOURCES: [&str; 4] = ["memory", "memory-cgroups", "net-namespaces", "pids"];

/// What is counted outside creations, in the order of `Metrics::set_outside`.
pub(super) const OUTSIDE: [&str; 4] = ["slow-path", "failure", "compaction", "reclaim"];

/// Ring and reason of lost events, in the order of `Metrics::set_loss`.
pub(super) const LOST: [(&str, &str); 6] = [
    ("creations", "full"),
    ("others", "full"),
    ("cgroups", "full"),
    ("creations", "not-followed"),
    ("creations", "return-not-seen"),
    ("all", "program-skipped"),
];

/// Why a write to the store failed, in the order of `Metrics::set_store`.
pub(super) const STORE_ERRORS: [&str; 4] = ["full", "io", "read-only", "other"];

/// Labels from names and values.
pub(super) fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// The label of an order.
pub(super) fn order(order: u32) -> String {
    if order > MAX_ORDER { format!("above-{MAX_ORDER}") } else { order.to_string() }
}

/// The label of a step. Those of which only failures are seen share one: there would be too many series.
pub(super) fn step(step: Step) -> &'static str {
    match step {
        Step::Namespaces | Step::Cgroup | Step::Fork | Step::OomKill => step.into(),
        Step::Exec
        | Step::Mount
        | Step::Link
        | Step::CgroupEntry
        | Step::Keyring
        | Step::Seccomp
        | Step::BpfProgram
        | Step::Allocation => "other",
    }
}

/// Whether an allocation with that outcome came back without pages, or may have.
pub(super) fn is_failure(outcome: allocation::Outcome) -> bool {
    outcome != allocation::Outcome::Recovered
}

/// Makes a series.
fn begin<M, C: MetricConstructor<M>>(family: &Family<Labels, M, C>, labels: &Labels)
where
    M: Clone,
{
    drop(family.get_or_create(labels));
}

impl Metrics {
    /// Makes every series whose labels are known.
    pub(super) fn initialise(&self) {
        for step in Step::VARIANTS.iter().map(|one| step(*one)) {
            for outcome in Outcome::VARIANTS.iter().map(<&str>::from) {
                begin(&self.creations, &labels([("step", step), ("outcome", outcome)]));
            }
            for cause in Cause::VARIANTS.iter().map(<&str>::from) {
                for confidence in Confidence::VARIANTS.iter().map(<&str>::from) {
                    let labels =
                        labels([("step", step), ("cause", cause), ("confidence", confidence)]);
                    begin(&self.failures, &labels);
                }
            }
        }
        for cause in Cause::VARIANTS.iter().map(<&str>::from) {
            begin(&self.last_failure, &labels([("cause", cause)]));
        }
        for at in 0..=MAX_ORDER + 1 {
            for outcome in allocation::Outcome::VARIANTS.iter().filter(|one| is_failure(**one)) {
                let order = order(at);
                let labels = labels([("order", &order), ("outcome", outcome.into())]);
                begin(&self.allocations, &labels);
            }
        }
        for kind in STALLS {
            begin(&self.stalls, &labels([("kind", kind)]));
        }
        for state in ["alive", "dying"] {
            begin(&self.memory_cgroups, &labels([("state", state)]));
        }
        for status in CheckStatus::VARIANTS.iter().map(<&str>::from) {
            begin(&self.check_status, &labels([("status", status)]));
        }
        for resource in RESOURCES {
            let labels = labels([("resource", resource)]);
            self.forecast.get_or_create(&labels).set(f64::INFINITY);
        }
        for wanted in MIGRATETYPES {
            for stolen in MIGRATETYPES.into_iter().filter(|stolen| *stolen != wanted) {
                begin(&self.fallbacks, &labels([("wanted", wanted), ("stolen", stolen)]));
            }
        }
        for what in OUTSIDE {
            begin(&self.outside, &labels([("what", what)]));
        }
        for reason in STORE_ERRORS {
            begin(&self.store_errors, &labels([("reason", reason)]));
        }
        for (ring, reason) in LOST {
            begin(&self.lost, &labels([("ring", ring), ("reason", reason)]));
        }
    }
}
