//! Reading a store, also while it is written: the entries of all lanes in the order of their numbers, each
//! once.
mod lane_reader;
mod segment;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use fragwatch_core::model::entry::{Entry, Header};
use jiff::Timestamp;

use self::lane_reader::LaneReader;
use super::{
    Lane,
    disk::Disk,
    file_system::FileSystem,
    name::{Form, Name},
};

pub use self::segment::SegmentReport;

/// Why a store can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The directory can't be read.
    #[error("could not read it: {0}")]
    Input(#[from] io::Error),
    /// It has no lanes.
    #[error(
        "it is no store: `fragwatch serve` makes directories named incidents, creations, samples"
    )]
    NoStore,
    /// All of it was written in another format.
    #[error(
        "all its segments have format {0}, and this fragwatch reads format {known}: read them with \
         the version that wrote them",
        known = fragwatch_core::model::entry::FORMAT_VERSION
    )]
    Version(u64),
}

/// An item of a store.
#[derive(Debug)]
pub enum Item {
    /// What follows is of this run of `serve`.
    Run(Box<Header>),
    /// An entry.
    Entry(Box<Entry>),
    /// Something that could not be read, in a sentence. Entries may be missing here.
    Damaged(String),
}

/// A file of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The lane.
    pub lane: Lane,
    /// The file's path within the store.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// When it was begun.
    pub begun: Option<Timestamp>,
    /// It is compressed, and never changed again.
    pub sealed: bool,
    /// It was set aside, because it could not be read.
    pub corrupt: bool,
}

/// Reads a store's entries.
pub struct Reader(Merge<Disk>);

impl Reader {
    /// Lists the segments.
    ///
    /// # Errors
    /// If the directory is no store, or one of another version.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let disk = disk(directory)?;
        let mut merge = Merge::open(&disk)?;
        if let (None, Some(version)) = (merge.peek(), merge.other_version()) {
            return Err(ReadError::Version(version));
        }
        Ok(Self(merge))
    }

    /// The next item; `None` at the end.
    pub fn next_item(&mut self) -> Option<Item> {
        self.0.next_item()
    }
}

/// The files of a store, by lane, the oldest first.
pub fn segments(directory: &Path) -> Result<Vec<SegmentInfo>, ReadError> {
    let info = |(lane, name, size): (Lane, Name, u64)| SegmentInfo {
        lane,
        path: Path::new(lane.name()).join(name.to_string()),
        size,
        begun: name.begun(),
        sealed: matches!(name.form, Form::Sealed { .. }),
        corrupt: name.form == Form::Corrupt,
    };
    Ok(list(&disk(directory)?)?.into_iter().map(info).collect())
}

/// Reads a whole segment and checks each line of it.
///
/// # Errors
/// If the file can't be read.
pub fn verify(directory: &Path, segment: &SegmentInfo) -> io::Result<SegmentReport> {
    let name = segment.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let bytes = Disk::new(directory).read(segment.lane, name)?;
    let Some(name) = Name::parse(name) else { return Err(io::ErrorKind::InvalidInput.into()) };
    Ok(segment::verify(name, &bytes))
}

fn disk(directory: &Path) -> Result<Disk, ReadError> {
    if !std::fs::metadata(directory)?.is_dir()
        || !Lane::ALL.iter().any(|lane| directory.join(lane.name()).is_dir())
    {
        return Err(ReadError::NoStore);
    }
    Ok(Disk::new(directory))
}

/// The segments, without those whose sealed form is there too.
fn list<S: FileSystem>(files: &S) -> io::Result<Vec<(Lane, Name, u64)>> {
    let mut segments = Vec::new();
    for lane in Lane::ALL {
        let listed = match files.list(lane) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            listed => listed?,
        };
        let named = listed.into_iter().filter_map(|(name, size)| Some((Name::parse(&name)?, size)));
        // By number; of one number, the last is the sealed one.
        let by_number: BTreeMap<u64, (Name, u64)> = named
            .filter(|(name, _)| name.form != Form::Temporary)
            .collect::<BTreeMap<Name, u64>>()
            .into_iter()
            .map(|(name, size)| (name.number, (name, size)))
            .collect();
        segments.extend(by_number.into_values().map(|(name, size)| (lane, name, size)));
    }
    Ok(segments)
}

/// The lanes, merged.
pub(super) struct Merge<S> {
    lanes: Vec<LaneReader<S>>,
    /// The last entry's number.
    last: u64,
    /// The run that the last entry was of.
    run: Option<u64>,
    /// An entry whose run was announced.
    held: Option<Entry>,
}

impl<S: FileSystem + Clone> Merge<S> {
    /// Lists the segments.
    pub(super) fn open(files: &S) -> io::Result<Self> {
        let segments = list(files)?;
        let of_lane = |lane: Lane| {
            let names = segments.iter().filter(|(of, ..)| *of == lane).map(|(_, name, _)| *name);
            LaneReader::new(files.clone(), lane, names.collect())
        };
        Ok(Self { lanes: Lane::ALL.map(of_lane).into(), last: 0, run: None, held: None })
    }

    /// The number of the next entry.
    fn peek(&mut self) -> Option<u64> {
        self.lanes.iter_mut().filter_map(LaneReader::peek).min()
    }

    /// The number of another format that was found.
    fn other_version(&self) -> Option<u64> {
        self.lanes.iter().find_map(LaneReader::other_version)
    }

    pub(super) fn next_item(&mut self) -> Option<Item> {
        if let Some(entry) = self.held.take() {
            return Some(Item::Entry(Box::new(entry)));
        }
        loop {
            if let Some(text) = self.lanes.iter_mut().find_map(LaneReader::next_damage) {
                return Some(Item::Damaged(text));
            }
            let next = self.lanes.iter_mut().filter_map(|of| Some((of.peek()?, of)));
            let (sequence, from) = next.min_by_key(|(sequence, _)| *sequence)?;
            let line = from.pop()?;
            if sequence <= self.last {
                continue;
            }
            self.last = sequence;
            let entry = match serde_json::from_slice(&line.json) {
                Ok(entry) => entry,
                Err(error) => {
                    let text = format!(
                        "entry {sequence} of {} is none that is known: {error}",
                        from.name()
                    );
                    return Some(Item::Damaged(text));
                }
            };
            if self.run == Some(line.run) {
                return Some(Item::Entry(Box::new(entry)));
            }
            self.run = Some(line.run);
            self.held = Some(entry);
            return Some(Item::Run(Box::new(line.header.as_ref().clone())));
        }
    }
}
