//! What was left earlier, once a minute for an hour, and how long it lasts.
use std::collections::VecDeque;

use serde::Serialize;

use crate::check::Check;

/// The time between points, in nanoseconds.
const PERIOD_NS: u64 = 60_000_000_000;

/// Points that are closer say nothing, in nanoseconds.
const MIN_APART_NS: u64 = 10_000_000_000;

/// Points that are kept: those of an hour, and its beginning.
const POINTS: usize = 61;

/// What is left of a resource, and what was left at the oldest point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Trend {
    /// `order-N` or `memory-cgroups`.
    pub(super) resource: String,
    pub(super) left: u64,
    pub(super) left_before: u64,
    /// How long ago that was.
    pub(super) before_s: u64,
}

/// How long a resource lasts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Outlook {
    /// As in [`Trend`], and `memory` and `pids`.
    pub(super) resource: String,
    /// `None` unless level and trend agree that it runs out.
    pub(super) seconds_to_failure: Option<f64>,
}

/// The points.
#[derive(Default)]
pub(super) struct History {
    points: VecDeque<Point>,
}

struct Point {
    time_ns: u64,
    left: Vec<(String, u64)>,
}

impl History {
    /// Adds what a check has found, if the last point is old enough, and compares with the oldest point.
    pub(super) fn add(&mut self, check: &Check) -> Vec<Trend> {
        self.push(Point { time_ns: check.facts.time_ns, left: left(check) })
    }

    fn push(&mut self, now: Point) -> Vec<Trend> {
        let trends = self.points.front().map(|oldest| trends(oldest, &now)).unwrap_or_default();
        let due = self.points.back().is_none_or(|last| now.time_ns >= last.time_ns + PERIOD_NS);
        if due {
            self.points.push_back(now);
            if self.points.len() > POINTS {
                self.points.pop_front();
            }
        }
        trends
    }
}

fn left(check: &Check) -> Vec<(String, u64)> {
    let orders = check.orders.iter().map(|one| (format!("order-{}", one.need.order), one.blocks));
    let ids = check.ids.map(|ids| ("memory-cgroups".to_owned(), ids.left));
    orders.chain(ids).collect()
}

/// What both points have, once they are far enough apart.
fn trends(before: &Point, now: &Point) -> Vec<Trend> {
    let apart_ns = now.time_ns.saturating_sub(before.time_ns);
    if apart_ns < MIN_APART_NS {
        return Vec::new();
    }
    let trend = |(resource, left): &(String, u64)| {
        let (_, left_before) = before.left.iter().find(|(name, _)| name == resource)?;
        let before_s = apart_ns / 1_000_000_000;
        Some(Trend { resource: resource.clone(), left: *left, left_before: *left_before, before_s })
    };
    now.left.iter().filter_map(trend).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_point_is_an_hour_old() {
        let mut history = History::default();
        let point = |second: u64| Point {
            time_ns: second * 1_000_000_000,
            left: vec![("order-6".to_owned(), 10_000 - second)],
        };
        assert!(history.push(point(0)).is_empty());
        assert!(history.push(point(9)).is_empty(), "too early to compare");
        let of = |trends: Vec<Trend>| {
            trends.first().map(|one| (one.left, one.left_before, one.before_s))
        };
        assert_eq!(of(history.push(point(60))), Some((9_940, 10_000, 60)));
        for second in 61..9_000 {
            history.push(point(second));
        }
        assert_eq!(history.points.len(), POINTS);
        let (left, left_before, before_s) = of(history.push(point(9_000))).expect("a trend");
        assert_eq!(left_before - left, before_s);
        assert!((3600..=3660).contains(&before_s), "{before_s}");
    }
}
