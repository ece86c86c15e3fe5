//! The entries of one lane by their numbers. They are nearly in order: those of an incident are written
//! when it ends, and those that could not be written are written later.
use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    io,
};

use super::{
    super::{
        Lane, REORDERED,
        file_system::FileSystem,
        name::{Form, Name},
    },
    list,
    segment::{self, Line},
};

/// Damaged lines of one segment that are reported each; the rest is a number.
const MAX_PROBLEMS: usize = 3;

pub(super) struct LaneReader<S> {
    files: S,
    lane: Lane,
    names: VecDeque<Name>,
    /// Read, and not returned.
    lines: BTreeMap<Reverse<u64>, Line>,
    /// The largest number that was read.
    highest: u64,
    damage: VecDeque<String>,
    other_version: Option<u64>,
}

impl<S: FileSystem> LaneReader<S> {
    /// For the segments with these names, the oldest first.
    pub(super) fn new(files: S, lane: Lane, names: VecDeque<Name>) -> Self {
        let lines = BTreeMap::new();
        Self { files, lane, names, lines, highest: 0, damage: VecDeque::new(), other_version: None }
    }

    /// The lane's name.
    pub(super) fn name(&self) -> &'static str {
        self.lane.name()
    }

    /// The number of the next entry.
    pub(super) fn peek(&mut self) -> Option<u64> {
        loop {
            let next = self.lines.last_key_value().map(|(Reverse(sequence), _)| *sequence);
            let certain = next.is_some_and(|next| self.highest - next > REORDERED);
            if certain || !self.read_segment() {
                return next.or_else(|| {
                    self.lines.last_key_value().map(|(Reverse(sequence), _)| *sequence)
                });
            }
        }
    }

    /// Takes the next entry.
    pub(super) fn pop(&mut self) -> Option<Line> {
        self.lines.pop_last().map(|(_, line)| line)
    }

    /// The number of another format that was found.
    pub(super) fn other_version(&self) -> Option<u64> {
        self.other_version
    }

    /// What could not be read so far, in a sentence each.
    pub(super) fn next_damage(&mut self) -> Option<String> {
        self.damage.pop_front()
    }

    /// Reads the next segment. False if there is none.
    fn read_segment(&mut self) -> bool {
        let Some(name) = self.names.pop_front() else { return false };
        let path = format!("{}/{name}", self.lane.name());
        if name.form == Form::Corrupt {
            self.damage.push_back(format!("{path} was set aside, because it could not be read"));
            return true;
        }
        let (name, bytes) = match self.open(name) {
            Ok(Some(found)) => found,
            // It was the oldest one, and the writer needed its space.
            Ok(None) => return true,
            Err(error) => {
                self.damage.push_back(format!("{path} could not be read: {error}"));
                return true;
            }
        };
        let (lines, report) = segment::read(name, &bytes);
        if let Some(version) = report.other_version {
            self.other_version = Some(version);
            self.damage.push_back(format!(
                "{path} has format {version}: read it with the version that wrote it"
            ));
        }
        let more = report.problems.len().saturating_sub(MAX_PROBLEMS);
        let problems = report.problems.iter().take(MAX_PROBLEMS);
        self.damage.extend(problems.map(|problem| format!("{path}: {problem}")));
        if more != 0 {
            self.damage.push_back(format!("{path}: {more} more lines are damaged"));
        }
        for line in lines {
            self.highest = self.highest.max(line.sequence);
            self.lines.insert(Reverse(line.sequence), line);
        }
        true
    }

    /// Reads a file, or its sealed form if it was sealed meanwhile; `None` if it was deleted.
    fn open(&self, name: Name) -> io::Result<Option<(Name, Vec<u8>)>> {
        let read = |name: Name| match self.files.read(self.lane, &name.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(|bytes| Some((name, bytes))),
        };
        if let Some(found) = read(name)? {
            return Ok(Some(found));
        }
        let now = list(&self.files)?;
        let sealed =
            now.iter().find(|(lane, other, _)| *lane == self.lane && other.number == name.number);
        sealed.map_or(Ok(None), |(_, name, _)| read(*name))
    }
}
