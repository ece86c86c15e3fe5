//! Where in a log, and when: how far two lines are from each other.
use std::time::Duration;

use fragwatch_core::model::log_time::{LogTime, Wall};
use jiff::civil;

use crate::line::{Caller, LogLine};

/// How many lines apart a line without a time and one with a time can be about the same.
const NEIGHBOURS: u64 = 3;

/// Whose lines follow each other: of one source or host, and of one caller where ids are printed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lane {
    pub(super) machine: Machine,
    pub(super) caller: Option<Caller>,
}

/// The machine that a line is of, as far as the log says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Machine {
    source: u32,
    host: Option<String>,
}

/// The part of a line's source that says which outer one it is of.
const OUTER: u32 = 0xffff_0000;

/// Whether lines of two sources can be of one machine: one isn't known, or is in the other.
fn same_source(one: u32, other: u32) -> bool {
    let same = |part: u32| one & part == other & part || one & part == 0 || other & part == 0;
    same(OUTER) && same(!OUTER)
}

impl Machine {
    /// That of lines of the same source, but for sources in it, that don't name a host.
    pub(super) fn without_host(&self) -> Self {
        Self { source: self.source & OUTER, host: None }
    }
}

/// Where and when a line stands in its log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogPosition {
    pub(super) first: u64,
    pub(super) last: u64,
    /// When it was logged.
    pub(super) time: Option<LogTime>,
    /// When it was received.
    pub(super) received: Option<LogTime>,
    pub(super) caller: Option<Caller>,
    pub(super) host: Option<String>,
    pub(super) source: u32,
    /// Counts what its source logged.
    nth: u64,
}

impl LogPosition {
    pub(super) fn of(line: &LogLine) -> Self {
        Self {
            first: line.first,
            last: line.last,
            time: line.time,
            received: line.received,
            caller: line.caller,
            host: line.host.clone(),
            source: line.source,
            nth: line.nth,
        }
    }

    /// The same for what different programs log: if only one of the two has a time of its own, they
    /// must be neighbours.
    pub(super) fn may_be_of_one(&self, other: &Self, time: Duration, lines: u64) -> bool {
        let alike = self.time.is_some() == other.time.is_some() || !self.same_host(other);
        if alike { self.near(other, time, lines) } else { self.lines_between(other) <= NEIGHBOURS }
    }

    /// What another machine logs meanwhile ends nothing, but for so many lines: whether it does. `None` if
    /// they may be of one machine.
    pub(super) fn over_by_lines_of_another(&self, other: &Self, lines: u64) -> Option<bool> {
        let same = self.source == other.source && self.host == other.host;
        (!same && self.source != 0).then(|| self.lines_between(other) > lines)
    }

    /// How many lines apart they are; of one source, without what others logged in between.
    pub(super) fn lines_between(&self, other: &Self) -> u64 {
        if self.source == other.source {
            return self.nth.abs_diff(other.nth);
        }
        self.first.abs_diff(other.last).min(other.first.abs_diff(self.last))
    }

    pub(super) fn lane(&self) -> Lane {
        Lane { machine: self.machine(), caller: self.caller }
    }

    pub(super) fn machine(&self) -> Machine {
        Machine { source: self.source, host: self.host.clone() }
    }

    /// Whether what stands here and there is at most so far apart: in time where both have one that
    /// can be compared, else in lines.
    pub(super) fn near(&self, other: &Self, time: Duration, lines: u64) -> bool {
        // Clocks of two machines say nothing about each other.
        let logged = || apart(self.time.as_ref(), other.time.as_ref());
        let received = || apart(self.received.as_ref(), other.received.as_ref());
        let apart = if self.same_host(other) { logged().or_else(received) } else { None };
        match apart {
            Some(apart) => apart <= time,
            None => self.lines_between(other) <= lines,
        }
    }

    /// Whether they can be of one machine.
    pub(super) fn same_host(&self, other: &Self) -> bool {
        same_source(self.source, other.source)
            && match (&self.host, &other.host) {
                (Some(one), Some(other)) => one == other,
                _ => true,
            }
    }
}

fn apart(one: Option<&LogTime>, other: Option<&LogTime>) -> Option<Duration> {
    let (one, other) = (one?, other?);
    if let (Some(one), Some(other)) = (one.boot, other.boot) {
        return Some(one.abs_diff(other));
    }
    let seconds = match (one.wall?, other.wall?) {
        (Wall::Timestamp(one), Wall::Timestamp(other)) => {
            return Some(one.duration_since(other).unsigned_abs());
        }
        (Wall::Timestamp(_), _) | (_, Wall::Timestamp(_)) => return None,
        (one, other) => in_year(one)?.abs_diff(in_year(other)?),
    };
    Some(Duration::from_secs(seconds))
}

/// Seconds since the beginning of the year; a year has 366 days here, so that dates without a year
/// can be compared with those that have one.
fn in_year(wall: Wall) -> Option<u64> {
    let (month, day, time) = match wall {
        Wall::Timestamp(_) => return None,
        Wall::Civil(at) => (at.month(), at.day(), at.time()),
        Wall::Yearless { month, day, time } => (month, day, time),
    };
    let date = civil::Date::new(2000, month, day).ok()?;
    let days = u64::try_from(date.day_of_year()).ok()?;
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(days * 86_400 + u64::try_from(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u64, time: Option<LogTime>) -> LogPosition {
        LogPosition {
            first: line,
            last: line,
            time,
            received: None,
            caller: None,
            host: None,
            source: 0,
            nth: line,
        }
    }

    #[test]
    fn time_counts_before_lines() {
        let boot = |secs| Some(LogTime { boot: Some(Duration::from_secs(secs)), wall: None });
        let near =
            |one: &LogPosition, other: &LogPosition| one.near(other, Duration::from_secs(5), 10);
        assert!(near(&at(1, boot(10)), &at(900, boot(15))));
        assert!(!near(&at(1, boot(10)), &at(2, boot(16))));
        assert!(near(&at(1, boot(10)), &at(11, None)));
        assert!(!near(&at(1, None), &at(12, None)));
        let one = |one: &LogPosition, other: &LogPosition| {
            one.may_be_of_one(other, Duration::from_secs(5), 10)
        };
        assert!(one(&at(1, boot(10)), &at(4, None)));
        assert!(!one(&at(1, boot(10)), &at(5, None)));
        assert!(one(&at(1, None), &at(5, None)));
    }

    #[test]
    fn dates_with_and_without_a_year() {
        let time = civil::time(15, 15, 41, 0);
        let yearless =
            LogTime { boot: None, wall: Some(Wall::Yearless { month: 11, day: 12, time }) };
        let civil = LogTime {
            boot: None,
            wall: Some(Wall::Civil(civil::datetime(2017, 11, 12, 15, 15, 44, 0))),
        };
        assert_eq!(apart(Some(&yearless), Some(&civil)), Some(Duration::from_secs(3)));
    }
}
