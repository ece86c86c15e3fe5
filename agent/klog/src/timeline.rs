//! One timeline of the incidents of several logs.
//!
//! The same failure may stand in several of them: it becomes one incident that names them all. What
//! a program says in one log joins the kernel's report in another. Incidents are ordered by time as
//! far as the logs' clocks can be compared.
mod clocks;
mod merge;
mod same;

use std::time::Duration;

use fragwatch_core::model::incident::{Incident, Source};

use crate::{
    line::LogLine,
    timeline::clocks::{Aligned, Clocks, Moment},
};

/// Incidents that are held back; more are reported without what comes later.
const MAX_INCIDENTS: usize = 2000;
/// Reports of one failure in two logs are not further apart: some logs have no fractions of seconds.
const SAME_MOMENT: Duration = Duration::from_secs(2);
/// A container's failure is logged at most this long before or after the kernel's report.
const JOIN_GAP: Duration = Duration::from_secs(5);

/// Gathers the incidents of several logs.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Logs that something was found in.
    files: Vec<String>,
    found: Vec<Entry>,
    clocks: Clocks,
}

/// An incident, and the logs it is in.
#[derive(Debug)]
struct Entry {
    files: Vec<usize>,
    incident: Incident,
}

/// An incident, and when it was.
struct Placed {
    at: Moment,
    entry: Entry,
}

impl Timeline {
    /// Takes a line of a log: lines that two logs have show how their clocks differ.
    pub fn line(&mut self, file: &str, line: &LogLine) {
        let file = self.file(file);
        self.clocks.line(file, line);
    }

    /// Takes incidents of a log.
    pub fn add(&mut self, file: &str, incidents: Vec<Incident>) {
        if incidents.is_empty() {
            return;
        }
        let file = self.file(file);
        let entry = |incident| Entry { files: vec![file], incident };
        self.found.extend(incidents.into_iter().map(entry));
    }

    /// Whether no more should be held back.
    pub fn is_full(&self) -> bool {
        self.found.len() >= MAX_INCIDENTS
    }

    /// The incidents so far, each with the log that says the most of it, in order.
    pub fn take(&mut self) -> Vec<(String, Incident)> {
        let aligned = self.clocks.align(self.found.iter().map(|entry| &entry.incident));
        let mut placed: Vec<Placed> =
            self.found.drain(..).map(|entry| place(entry, &aligned)).collect();
        placed.sort_by_key(Placed::key);
        let mut kept: Vec<Placed> = Vec::new();
        for new in placed {
            match kept.iter_mut().rev().find(|known| known.is_same(&new)) {
                Some(known) => known.absorb(new, &self.files),
                None => kept.push(new),
            }
        }
        let mut kept = self.join_programs(kept);
        kept.sort_by_key(Placed::key);
        let name = |entry: &Entry| self.files[entry.files[0]].clone();
        kept.into_iter().map(|placed| (name(&placed.entry), placed.entry.incident)).collect()
    }

    /// Joins what programs say of a container with the kernel's report of the same failure.
    fn join_programs(&self, all: Vec<Placed>) -> Vec<Placed> {
        let (mut reports, programs): (Vec<Placed>, Vec<Placed>) =
            all.into_iter().partition(|placed| same::is_kernels(&placed.entry.incident));
        let mut alone = Vec::new();
        for program in programs {
            let near = |report: &&mut Placed| {
                report.at.apart(&program.at).is_some_and(|apart| apart <= JOIN_GAP)
                    && same::joins(&report.entry.incident, &program.entry.incident)
            };
            let nearest = reports.iter_mut().filter(near);
            match nearest.min_by_key(|report| report.at.apart(&program.at)) {
                Some(report) => report.absorb(program, &self.files),
                None => alone.push(program),
            }
        }
        reports.extend(alone);
        reports
    }

    /// The number of a log.
    fn file(&mut self, name: &str) -> usize {
        if self.files.last().is_none_or(|last| last != name) {
            self.files.push(name.to_owned());
        }
        self.files.len() - 1
    }
}

fn place(mut entry: Entry, aligned: &Aligned) -> Placed {
    let file = entry.files[0];
    let Source::Log(log) = &mut entry.incident.source else {
        return Placed { at: Moment::unknown(file), entry };
    };
    let at = aligned.moment(file, log.time.as_ref());
    if let Some(time) = &mut log.time {
        time.wall = time.wall.or_else(|| aligned.wall(&at));
    }
    Placed { at, entry }
}

impl Placed {
    fn key(&self) -> (Moment, usize, u64) {
        let line = self.entry.incident.log().map_or(0, |log| log.lines.0);
        (self.at, self.entry.files[0], line)
    }

    /// Whether both are one failure, in two logs.
    fn is_same(&self, other: &Self) -> bool {
        if other.entry.files.iter().any(|file| self.entry.files.contains(file)) {
            return false;
        }
        same::is_same(&self.entry.incident, &other.entry.incident, self.at.apart(&other.at))
    }

    /// Takes over what another says of the same failure; the one that says more comes first.
    fn absorb(&mut self, mut other: Self, files: &[String]) {
        if merge::says_more(&other.entry.incident, &self.entry.incident) {
            std::mem::swap(self, &mut other);
        }
        merge::add(&mut self.entry.incident, other.entry.incident, &files[other.entry.files[0]]);
        self.entry.files.extend(other.entry.files);
    }
}
