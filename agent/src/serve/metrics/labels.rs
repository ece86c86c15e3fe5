//! The label values that are known beforehand. Their series are there from the start, so that a rate
//! or an alert sees the first event.
use fragwatch_core::{
    model::{
        allocation,
        status::CheckStatus,
        step::Outcome,
        verdict::{Cause, Confidence},
    },
    report::line::creation::Step,
};
use strum::VariantArray as _;

use super::{Labels, Metrics};

/// The highest order with a label of its own: `MAX_PAGE_ORDER` of x86-64.
const MAX_ORDER: u32 = 10;

/// Orders with a label of their own.
pub(super) const ORDERS: usize = MAX_ORDER as usize + 1;

/// What creations wait for, in the order of `Metrics::observe`.
pub(super) const STALLS: [&str; 3] = ["compaction", "reclaim", "memcg"];

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

/// Labels from names and values.
pub(super) fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// The label of an order.
pub(super) fn order(order: u32) -> String {
    if order > MAX_ORDER { format!("above-{MAX_ORDER}") } else { order.to_string() }
}

/// Whether an allocation with that outcome came back without pages, or may have.
pub(super) fn is_failure(outcome: allocation::Outcome) -> bool {
    outcome != allocation::Outcome::Recovered
}

impl Metrics {
    /// Makes every series whose labels are known.
    pub(super) fn initialise(&self) {
        for step in Step::VARIANTS.iter().map(<&str>::from) {
            for outcome in Outcome::VARIANTS.iter().map(<&str>::from) {
                self.creations.get_or_create(&labels([("step", step), ("outcome", outcome)]));
            }
            for cause in Cause::VARIANTS.iter().map(<&str>::from) {
                for confidence in Confidence::VARIANTS.iter().map(<&str>::from) {
                    let labels =
                        labels([("step", step), ("cause", cause), ("confidence", confidence)]);
                    self.failures.get_or_create(&labels);
                }
            }
        }
        for cause in Cause::VARIANTS.iter().map(<&str>::from) {
            self.last_failure.get_or_create(&labels([("cause", cause)]));
        }
        for at in 0..=MAX_ORDER + 1 {
            for outcome in allocation::Outcome::VARIANTS.iter().filter(|one| is_failure(**one)) {
                let order = order(at);
                let labels = labels([("order", &order), ("outcome", outcome.into())]);
                self.allocations.get_or_create(&labels);
            }
        }
        for kind in STALLS {
            self.stalls.get_or_create(&labels([("kind", kind)]));
        }
        for state in ["alive", "dying"] {
            self.memory_cgroups.get_or_create(&labels([("state", state)]));
        }
        for status in CheckStatus::VARIANTS.iter().map(<&str>::from) {
            self.check_status.get_or_create(&labels([("status", status)]));
        }
        for what in OUTSIDE {
            self.outside.get_or_create(&labels([("what", what)]));
        }
        for (ring, reason) in LOST {
            self.lost.get_or_create(&labels([("ring", ring), ("reason", reason)]));
        }
    }
}
