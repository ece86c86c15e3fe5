//! One value over the last hour, minute by minute, and over the last six hours, in steps of six minutes.
use std::collections::VecDeque;

use super::slope::{Trend, median, trend};

/// The time between points of the last hour, in seconds.
const STEP_S: f64 = 60.0;

/// Points of each of the two.
const POINTS: usize = 60;

/// So many points of the last hour are one of the last six.
const COARSE: usize = 6;

/// Points whose median is the level, so that one reading is none.
const LEVEL: usize = 5;

/// Nothing is said before so many minutes.
const MIN_POINTS: usize = 15;

/// The share of pairs that must fall in the last hour, and in the last six.
const FALLING: (f64, f64) = (0.8, 0.65);

/// A trend that was seen for some time says nothing of more than so many times as long.
const REACH: f64 = 6.0;

/// Nothing is said of what is further away, in seconds.
const HORIZON_S: f64 = 12.0 * 3600.0;

/// So many minutes in a row it must look like a failure before it is said, and not look like one before
/// it is taken back.
const ENTER: u32 = 5;
const LEAVE: u32 = 10;

/// What is free or can be moved must become less by this share.
const SHRINKS: f64 = 0.02;

/// The values of a resource.
#[derive(Debug, Default)]
pub(super) struct Series {
    hour: VecDeque<(f64, f64)>,
    six_hours: VecDeque<(f64, f64)>,
    /// Points of the last hour that are in none of the last six yet.
    pending: usize,
    /// Minutes in a row that said the same.
    agreeing: u32,
    disagreeing: u32,
    /// As last said, with the time when.
    failure_in_s: Option<f64>,
}

impl Series {
    /// Takes a value. False if less than a minute went by since the last one.
    pub(super) fn observe(&mut self, now_s: f64, value: f64) -> bool {
        if self.hour.back().is_some_and(|(last_s, _)| now_s - last_s < STEP_S * 0.9) {
            return false;
        }
        push(&mut self.hour, (now_s, value));
        self.pending += 1;
        if self.pending == COARSE {
            self.pending = 0;
            let mut last: Vec<f64> = self.hour.iter().rev().take(COARSE).map(|at| at.1).collect();
            if let Some(value) = median(&mut last) {
                push(&mut self.six_hours, (now_s, value));
            }
        }
        true
    }

    /// What is left now.
    pub(super) fn level(&self) -> Option<f64> {
        let mut last: Vec<f64> = self.hour.iter().rev().take(LEVEL).map(|at| at.1).collect();
        median(&mut last)
    }

    /// The change over the last hour.
    pub(super) fn change(&self) -> Option<f64> {
        Some(self.hour.back()?.1 - self.hour.front()?.1)
    }

    /// Whether it fell steadily, and by more than a little.
    pub(super) fn falls(&self) -> bool {
        let fell = |points: &VecDeque<(f64, f64)>, share: f64| {
            let points: Vec<(f64, f64)> = points.iter().copied().collect();
            let Some((trend, (_, first))) = trend(&points).zip(points.first()) else {
                return false;
            };
            trend.falling >= share && -trend.slope * trend.span_s >= first * SHRINKS
        };
        fell(&self.hour, FALLING.0) || fell(&self.six_hours, FALLING.1)
    }

    /// Decides what is said, after an observation. If the trend is not `believable`, nothing.
    pub(super) fn decide(&mut self, believable: bool) {
        let found = if believable { self.failure_in() } else { None };
        let (agreeing, disagreeing) = (self.agreeing, self.disagreeing);
        (self.agreeing, self.disagreeing) = if found.is_some() {
            (agreeing.saturating_add(1), 0)
        } else {
            (0, disagreeing.saturating_add(1))
        };
        if found.is_some() && (self.failure_in_s.is_some() || self.agreeing >= ENTER) {
            self.failure_in_s = found;
        } else if self.disagreeing >= LEAVE {
            self.failure_in_s = None;
        }
    }

    /// As last decided.
    pub(super) fn seconds_to_failure(&self) -> Option<f64> {
        self.failure_in_s
    }

    /// When nothing is left, in seconds, if level and trend agree that this comes.
    fn failure_in(&self) -> Option<f64> {
        let hour: Vec<(f64, f64)> = self.hour.iter().copied().collect();
        if hour.len() < MIN_POINTS {
            return None;
        }
        let left = self.level()?;
        let short = trend(&hour)?;
        let six_hours: Vec<(f64, f64)> = self.six_hours.iter().copied().collect();
        let long = trend(&six_hours);
        let falls = |trend: &Trend, share| trend.slope < 0.0 && trend.falling >= share;
        // Nothing is left: that it does not fall any more is no comfort.
        if left <= 0.0 && long.is_some_and(|long| falls(&long, FALLING.1)) {
            return Some(0.0);
        }
        if !falls(&short, FALLING.0) || long.is_some_and(|long| !falls(&long, FALLING.1)) {
            return None;
        }
        // The longer one has less noise, the shorter one knows of a change.
        let steady = |long: &Trend| (0.67..1.5).contains(&(long.slope / short.slope));
        let slope = long.filter(steady).map_or(short.slope, |long| long.slope);
        let seconds = (left / -slope).max(0.0);
        let seen_s = long.map_or(short.span_s, |long| long.span_s.max(short.span_s));
        (seconds <= HORIZON_S && seconds <= seen_s * REACH).then_some(seconds)
    }
}

fn push(points: &mut VecDeque<(f64, f64)>, point: (f64, f64)) {
    if points.len() == POINTS {
        points.pop_front();
    }
    points.push_back(point);
}
