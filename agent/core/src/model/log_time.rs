//! When a line of a log was written, as far as the log says.
use std::time::Duration;

use jiff::{Timestamp, civil};

/// When a line was logged; at least one field is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogTime {
    /// Time since boot, as the kernel counts it.
    pub boot: Option<Duration>,
    /// Time of day.
    pub wall: Option<Wall>,
}

/// Time of day, as exactly as the log has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wall {
    /// An instant.
    Timestamp(Timestamp),
    /// Date and time in a time zone that the log does not name.
    Civil(civil::DateTime),
    /// As `Civil`, but the log has no year (classic syslog, klog).
    Yearless {
        /// From 1.
        month: i8,
        /// From 1.
        day: i8,
        /// Time of day.
        time: civil::Time,
    },
}

impl Wall {
    /// How much it says: two of them are compared where both are known.
    pub fn rank(&self) -> (u8, bool) {
        match self {
            Self::Timestamp(t) => (2, t.subsec_nanosecond() != 0),
            Self::Civil(t) => (1, t.subsec_nanosecond() != 0),
            Self::Yearless { time, .. } => (0, time.subsec_nanosecond() != 0),
        }
    }

    /// The later by some time. Without a year, that of a leap year is taken.
    pub fn later(self, by: Duration) -> Option<Self> {
        Some(match self {
            Self::Timestamp(t) => Self::Timestamp(t.checked_add(by).ok()?),
            Self::Civil(t) => Self::Civil(t.checked_add(by).ok()?),
            Self::Yearless { month, day, time } => {
                let t = civil::Date::new(2024, month, day).ok()?.to_datetime(time);
                let t = t.checked_add(by).ok()?;
                Self::Yearless { month: t.month(), day: t.day(), time: t.time() }
            }
        })
    }
}

impl LogTime {
    /// Takes over what another time of the same line says better.
    pub fn refine(&mut self, other: Self) {
        self.boot = other.boot.or(self.boot);
        if let Some(wall) = other.wall
            && self.wall.is_none_or(|have| wall.rank() >= have.rank())
        {
            self.wall = Some(wall);
        }
    }
}
