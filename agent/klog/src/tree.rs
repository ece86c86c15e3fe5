//! The logs in a directory or an archive, and in archives in it.
//!
//! Nothing is unpacked to disk, links are not followed, and how much is looked at has a limit
//! whatever there is: what is left out is counted, with the reason.
mod archive;
mod directory;
mod facts;
mod left_out;
mod recognise;
mod stream;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use fragwatch_core::model::left_out::LeftOut;

use crate::read::{
    blocks::newlines,
    budget::Budget,
    input::{self, ReadError},
    search::Search,
    source::Source,
    watch::Watch,
};

pub use facts::{Facts, buddyinfo};
pub use left_out::LeftOutCounts;
pub use stream::Stream;

/// Files, directories and parts of archives that are looked at.
const MAX_ENTRIES: u64 = 200_000;
/// Archives in each other.
const MAX_NESTED: usize = 3;
/// Bytes of a file that show what it is.
const SAMPLE: usize = 64 * 1024;

/// A log in a tree. The next one comes when this one has been read or dropped.
pub struct Found {
    /// Where it is: a path, behind the archive's name and a colon where it is in one.
    pub name: String,
    /// Its text, unpacked.
    pub input: Box<dyn Read + Send>,
    /// Whether compressed data ended too early, or was damaged: to be asked when all is read.
    pub lost: Arc<AtomicBool>,
}

/// What stands in a tree, in the order in which it is found.
enum Item {
    /// The path, and what there is to read.
    File(String, Source),
    /// Something that is not read.
    LeftOut(LeftOut, String),
    /// A directory, an empty file.
    Nothing(String),
}

/// Walks a directory or an archive.
pub struct Tree {
    /// What is being walked: the last is in the one before.
    levels: Vec<Box<dyn Iterator<Item = Item>>>,
    budget: Arc<Budget>,
    entries: u64,
    max_entries: u64,
    skimmed: Skimmed,
    left_out: LeftOutCounts,
}

/// Logs in which nothing is worth a closer look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skimmed {
    /// How many.
    pub files: u64,
    /// Lines in them.
    pub lines: u64,
    /// Bytes in them, unpacked.
    pub bytes: u64,
}

impl Skimmed {
    fn count(&mut self, log: &[u8]) {
        self.files += 1;
        // What is left at the end is a line too.
        let rest = log.last().is_some_and(|byte| *byte != b'\n');
        self.lines += newlines(log) + u64::from(rest);
        self.bytes += log.len() as u64;
    }
}

/// What a file turned out to be.
enum Content {
    Archive(Source),
    Other { sample: Vec<u8>, rest: Source },
}

impl Tree {
    /// What is at a path; `None` if it is neither a directory nor an archive.
    pub fn open(path: &str) -> io::Result<Option<Self>> {
        Self::open_within(path, Budget::limited())
    }

    fn open_within(path: &str, budget: Arc<Budget>) -> io::Result<Option<Self>> {
        let metadata = Path::new(path).metadata()?;
        if metadata.is_dir() {
            let level = Box::new(directory::Directory::new(path, Arc::clone(&budget)));
            return Ok(Some(Self::new(budget, level)));
        }
        if !metadata.is_file() {
            return Ok(None);
        }
        let watch = Watch::new(&budget);
        let source = budget.count_read(Box::new(File::open(path)?));
        // What can't be read is reported as a log.
        let Ok(Content::Archive(source)) = look(source, &watch) else { return Ok(None) };
        let level = Box::new(archive::Archive::new(path, source, watch));
        Ok(Some(Self::new(budget, level)))
    }

    /// What is in an archive that comes through a pipe.
    fn of_archive(name: &str, source: Source, budget: Arc<Budget>) -> Self {
        let watch = Watch::new(&budget);
        let source = budget.count_read(source);
        let unpacked = match look(source, &watch) {
            Ok(Content::Archive(source)) => source,
            Ok(Content::Other { sample, rest }) => Box::new(io::Cursor::new(sample).chain(rest)),
            Err(_) => Box::new(io::empty()),
        };
        Self::new(budget, Box::new(archive::Archive::new(name, unpacked, watch)))
    }

    fn new(budget: Arc<Budget>, level: Box<dyn Iterator<Item = Item>>) -> Self {
        Self {
            levels: vec![level],
            budget,
            entries: 0,
            max_entries: MAX_ENTRIES,
            skimmed: Skimmed::default(),
            left_out: LeftOutCounts::default(),
        }
    }

    /// The next log in which there may be something.
    pub fn next_log(&mut self) -> Option<Found> {
        loop {
            let (name, source) = self.next_file()?;
            let watch = Watch::new(&self.budget);
            let content = match look(source, &watch) {
                Ok(content) => content,
                Err(error) => {
                    self.left_out.add(reason(&error, &self.budget), &name);
                    continue;
                }
            };
            match content {
                Content::Archive(source) => self.enter(&name, source, watch),
                Content::Other { sample, .. } if sample.is_empty() => {
                    if watch.lost.load(Ordering::Relaxed) {
                        self.left_out.add(LeftOut::Damaged, &name);
                    }
                }
                Content::Other { sample, rest } if recognise::is_log(&name, &sample) => {
                    // Trees have many small logs, in most of which there is nothing.
                    if sample.len() < SAMPLE && Search::get().find(&sample, 0).is_none() {
                        self.skimmed.count(&sample);
                        if watch.lost.load(Ordering::Relaxed) {
                            self.left_out.add(LeftOut::Damaged, &name);
                        }
                        continue;
                    }
                    let input = Box::new(io::Cursor::new(sample).chain(rest));
                    return Some(Found { name, input, lost: watch.lost });
                }
                Content::Other { .. } if Facts::wants(&name) => {}
                Content::Other { .. } => self.left_out.add(LeftOut::NotALog, &name),
            }
        }
    }

    /// What the files in it that are no logs say of the machine. To be asked of a tree of its own:
    /// afterwards this one is at its end.
    pub fn facts(mut self, stop: &AtomicBool) -> Facts {
        let mut facts = Facts::default();
        while !stop.load(Ordering::Relaxed)
            && let Some((name, source)) = self.next_file()
        {
            let archive = recognise::is_named_archive(&name);
            if !archive && !Facts::wants(&name) {
                continue;
            }
            let watch = Watch::new(&self.budget);
            match look(source, &watch) {
                Ok(Content::Archive(source)) => self.enter(&name, source, watch),
                Ok(Content::Other { sample, .. }) => facts.take(&name, &sample),
                Err(_) => {}
            }
        }
        facts
    }

    /// Logs that [`Self::next_log`] passed over, because there is nothing in them.
    pub fn skimmed(&self) -> Skimmed {
        self.skimmed
    }

    /// What was left out so far.
    pub fn left_out(&self) -> &LeftOutCounts {
        &self.left_out
    }

    /// Counts a log that could not be read to its end.
    pub fn leave_out(&mut self, error: &ReadError, name: &str) {
        self.left_out.add(reason(error, &self.budget), name);
    }

    /// Goes on in an archive that was found in this tree.
    fn enter(&mut self, name: &str, source: Source, watch: Watch) {
        if self.levels.len() > MAX_NESTED {
            self.left_out.add(LeftOut::Nested, name);
            return;
        }
        self.levels.push(Box::new(archive::Archive::new(name, source, watch)));
    }

    fn next_file(&mut self) -> Option<(String, Source)> {
        while let Some(level) = self.levels.last_mut() {
            let Some(item) = level.next() else {
                self.levels.pop();
                continue;
            };
            self.entries += 1;
            if self.entries > self.max_entries {
                let (Item::File(name, _) | Item::LeftOut(_, name) | Item::Nothing(name)) = item;
                self.left_out.add(LeftOut::TooMany, &name);
                self.levels.clear();
                return None;
            }
            match item {
                Item::LeftOut(LeftOut::Damaged, name) if self.budget.is_exhausted() => {
                    self.left_out.add(LeftOut::Expands, &name);
                }
                Item::LeftOut(reason, name) => self.left_out.add(reason, &name),
                Item::File(name, source) => return Some((name, source)),
                Item::Nothing(_) => {}
            }
        }
        None
    }
}

/// Unpacks a file, and looks at its first bytes.
fn look(source: Source, watch: &Watch) -> Result<Content, ReadError> {
    let mut rest = input::open(source, watch, 0)?;
    let mut sample = Vec::new();
    rest.by_ref().take(SAMPLE as u64).read_to_end(&mut sample).map_err(ReadError::Io)?;
    if archive::is_tar(&sample) {
        return Ok(Content::Archive(Box::new(io::Cursor::new(sample).chain(rest))));
    }
    Ok(Content::Other { sample, rest })
}

fn reason(error: &ReadError, budget: &Budget) -> LeftOut {
    match error {
        _ if budget.is_exhausted() => LeftOut::Expands,
        ReadError::Io(_) => LeftOut::Unreadable,
        ReadError::Journal => LeftOut::Journal,
        ReadError::Form { .. } => LeftOut::Form,
    }
}

#[cfg(test)]
mod tests;
