//! How the clocks of several logs differ: some count from boot, some show the time of day with a
//! time zone, some without, some without the year.
use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    time::Duration,
};

use fragwatch_core::model::{
    incident::Incident,
    log_time::{LogTime, Wall},
};
use jiff::{Timestamp, civil, tz::TimeZone};

use crate::line::LogLine;

/// Lines remembered, of all logs.
const MAX_LINES: usize = 100_000;
/// Shorter lines may be the same by chance.
const MIN_LENGTH: usize = 24;
/// What is logged earlier after boot is the same in each boot.
const EARLY: Duration = Duration::from_secs(5);
/// Differences between clocks that count as one, in microseconds.
const TOLERANCE: i64 = 2_000_000;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3600 * SECOND;

/// What a time was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Clock {
    /// Time of day, with its time zone.
    Utc,
    /// Time of day in a zone that is not named; all logs are taken to be of one zone.
    Civil,
    /// Time since the boot that this log is of.
    Boot(usize),
    /// None: the order of lines in this log.
    None(usize),
}

/// When an incident was. Moments of one clock can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    clock: Clock,
    micros: i64,
}

impl Moment {
    /// In a log without times.
    pub(super) fn unknown(file: usize) -> Self {
        Self { clock: Clock::None(file), micros: 0 }
    }

    /// How far they are apart, if that is known.
    pub(super) fn apart(&self, other: &Self) -> Option<Duration> {
        let known = self.clock == other.clock && !matches!(self.clock, Clock::None(_));
        known.then(|| Duration::from_micros(self.micros.abs_diff(other.micros)))
    }
}

/// Lines that show how clocks differ.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    lines: Vec<Sighting>,
}

/// A line that may be in another log, too.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    text: u64,
    file: usize,
    time: LogTime,
}

/// How clocks are set.
#[derive(Debug)]
pub(super) struct Aligned {
    /// The latest time with a year.
    latest: Option<i64>,
    /// For each clock that can be compared with another: with which, and how much to add.
    offsets: HashMap<Clock, (Clock, i64)>,
}

impl Clocks {
    pub(super) fn line(&mut self, file: usize, line: &LogLine) {
        let Some(time) = line.time else { return };
        let early = time.wall.is_none() && time.boot.is_some_and(|boot| boot < EARLY);
        if self.lines.len() == MAX_LINES || line.text.len() < MIN_LENGTH || early {
            return;
        }
        let mut hasher = DefaultHasher::new();
        line.text.hash(&mut hasher);
        self.lines.push(Sighting { text: hasher.finish(), file, time });
    }

    /// Finds out how the clocks differ; with the times of these incidents, too.
    pub(super) fn align<'a>(&mut self, incidents: impl Iterator<Item = &'a Incident>) -> Aligned {
        let times = incidents.filter_map(|incident| incident.log()?.time);
        let times = times.chain(self.lines.iter().map(|line| line.time));
        let latest = times.filter_map(|time| with_year(time.wall?)).max();
        self.lines.sort_by_key(|line| (line.text, line.file));
        let mut differences: BTreeMap<(Clock, Clock), Vec<i64>> = BTreeMap::new();
        for same in self.lines.chunk_by(|one, other| one.text == other.text) {
            // What a log has twice can't be assigned.
            let single: Vec<&Sighting> = same
                .chunk_by(|one, other| one.file == other.file)
                .filter_map(|of_file| if let [one] = of_file { Some(one) } else { None })
                .collect();
            for pair in single.windows(2) {
                let [one, other] =
                    [pair[0], pair[1]].map(|line| read(line.file, &line.time, latest));
                if one.clock == other.clock {
                    continue;
                }
                let [one, other] =
                    if one.clock < other.clock { [one, other] } else { [other, one] };
                let difference = one.micros.saturating_sub(other.micros);
                differences.entry((one.clock, other.clock)).or_default().push(difference);
            }
        }
        Aligned { latest, offsets: offsets(differences) }
    }
}

/// From each clock to the first one that it can be compared with, directly or through others.
fn offsets(differences: BTreeMap<(Clock, Clock), Vec<i64>>) -> HashMap<Clock, (Clock, i64)> {
    let mut offsets: HashMap<Clock, (Clock, i64)> = HashMap::new();
    // Sorted, so that the times of day come first: other clocks are compared with these.
    for ((to, from), mut all) in differences {
        all.sort_unstable();
        let median = all[all.len() / 2];
        let agree = all.iter().filter(|one| one.abs_diff(median) <= TOLERANCE as u64).count();
        // A log of several boots has several differences.
        if agree * 2 <= all.len() || offsets.contains_key(&from) {
            continue;
        }
        let (root, more) = offsets.get(&to).copied().unwrap_or((to, 0));
        if root != from {
            offsets.insert(from, (root, median.saturating_add(more)));
        }
    }
    offsets
}

impl Aligned {
    /// The time of day at a moment, with the year if any log has it.
    pub(super) fn wall(&self, at: &Moment) -> Option<Wall> {
        let stamp = Timestamp::from_microsecond(at.micros).ok()?;
        let civil = TimeZone::UTC.to_datetime(stamp);
        match at.clock {
            Clock::Utc => Some(Wall::Timestamp(stamp)),
            Clock::Civil if self.latest.is_some() => Some(Wall::Civil(civil)),
            Clock::Civil => {
                Some(Wall::Yearless { month: civil.month(), day: civil.day(), time: civil.time() })
            }
            Clock::Boot(_) | Clock::None(_) => None,
        }
    }

    /// When something was that this log has with that time.
    pub(super) fn moment(&self, file: usize, time: Option<&LogTime>) -> Moment {
        let Some(time) = time else { return Moment::unknown(file) };
        let read = read(file, time, self.latest);
        match self.offsets.get(&read.clock) {
            Some((clock, offset)) => {
                Moment { clock: *clock, micros: read.micros.saturating_add(*offset) }
            }
            None => read,
        }
    }
}

fn read(file: usize, time: &LogTime, latest: Option<i64>) -> Moment {
    let Some(wall) = time.wall else {
        let Some(boot) = time.boot else { return Moment::unknown(file) };
        let micros = i64::try_from(boot.as_micros()).unwrap_or(i64::MAX);
        return Moment { clock: Clock::Boot(file), micros };
    };
    match wall {
        Wall::Timestamp(stamp) => Moment { clock: Clock::Utc, micros: stamp.as_microsecond() },
        Wall::Civil(civil) => Moment { clock: Clock::Civil, micros: micros(civil) },
        Wall::Yearless { month, day, time } => {
            let micros = in_latest_year(month, day, time, latest).unwrap_or(0);
            Moment { clock: Clock::Civil, micros }
        }
    }
}

fn micros(civil: civil::DateTime) -> i64 {
    TimeZone::UTC.to_timestamp(civil).map_or(0, Timestamp::as_microsecond)
}

/// A time of day with its year, whatever its zone.
fn with_year(wall: Wall) -> Option<i64> {
    match wall {
        Wall::Timestamp(stamp) => Some(stamp.as_microsecond()),
        Wall::Civil(civil) => Some(micros(civil)),
        Wall::Yearless { .. } => None,
    }
}

/// A date without a year is that of the last year before the latest date that has one. Without any
/// it is one of 2024, which has a 29th of February.
fn in_latest_year(month: i8, day: i8, time: civil::Time, latest: Option<i64>) -> Option<i64> {
    let of = |year: i16| Some(micros(civil::Date::new(year, month, day).ok()?.to_datetime(time)));
    let Some(latest) = latest else { return of(2024) };
    let year = Timestamp::from_microsecond(latest).ok()?.to_zoned(TimeZone::UTC).year();
    let years = (0..8).filter_map(|back| of(year.checked_sub(back)?));
    years.into_iter().find(|micros| *micros <= latest.saturating_add(DAY))
}
