//! The segments of one lane, and the one that is appended to.
use std::{collections::VecDeque, io};

use jiff::Timestamp;

use super::{
    Lane,
    budget::{self, cost},
    file_system::{AppendFile, FileSystem},
    header::HeaderSource,
    line,
    name::{Form, Name},
    record::Record,
    seal,
};

/// So many bytes are held until they are known to be on disk. All memory is locked, so what is held once is kept.
const MAX_UNSYNCED: usize = 32 << 10;

/// A file of the lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) name: Name,
    /// In bytes.
    pub(super) size: u64,
}

/// The segment that is appended to.
#[derive(Debug)]
struct Active<F> {
    file: F,
    segment: Segment,
    last: u64,
    /// Its name may not outlive a crash of the machine yet.
    is_new: bool,
}

/// Writes a lane.
#[derive(Debug)]
pub(super) struct LaneWriter<F> {
    lane: Lane,
    budget: u64,
    /// The oldest first, without the active one.
    segments: VecDeque<Segment>,
    active: Option<Active<F>>,
    next_number: u64,
    /// Written, and not known to be on disk.
    unsynced: Vec<Record>,
    unsynced_size: usize,
    /// Of the bytes of deleted segments, those that may be written again although the file system has
    /// less free than it should.
    freed: u64,
}

/// Records that have to be written again, because they may not be on disk.
#[derive(Debug)]
pub(super) struct SyncError {
    pub(super) error: io::Error,
    pub(super) records: Vec<Record>,
}

impl<F: AppendFile> LaneWriter<F> {
    /// For a lane that has these segments, the oldest first.
    pub(super) fn new(lane: Lane, max_size: u64, segments: Vec<Segment>) -> Self {
        let numbers = segments.iter().map(|segment| segment.name.number);
        Self {
            lane,
            budget: budget::of_lane(lane, max_size),
            next_number: numbers.max().map_or(1, |last| last.saturating_add(1)),
            segments: segments.into(),
            active: None,
            unsynced: Vec::new(),
            unsynced_size: 0,
            freed: 0,
        }
    }

    /// All files, the oldest first.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        self.segments.iter().copied().chain(self.active.as_ref().map(|active| active.segment))
    }

    /// What they cost.
    pub(super) fn cost(&self) -> u64 {
        self.segments().map(|segment| cost(segment.size)).sum()
    }

    /// Whether a sync has something to do.
    pub(super) fn is_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Whether so much was written since the last sync that another one is due.
    pub(super) fn wants_sync(&self) -> bool {
        self.unsynced_size >= MAX_UNSYNCED
    }

    /// Appends a record. After an error it is not in the lane.
    pub(super) fn append<S>(
        &mut self,
        files: &S,
        header: &HeaderSource,
        min_free: u64,
        record: Record,
    ) -> Result<(), (io::Error, Record)>
    where
        S: FileSystem<File = F>,
    {
        let Some(json) = record.json() else { return Ok(()) };
        let mut bytes = Vec::with_capacity(json.len() + 64);
        line::append(&mut bytes, &json, record.sequence);
        match self.write(files, header, min_free, &bytes, record.sequence) {
            Ok(()) => {
                self.unsynced_size += record.size();
                self.unsynced.push(record);
                Ok(())
            }
            Err(error) => Err((error, record)),
        }
    }

    fn write<S>(
        &mut self,
        files: &S,
        header: &HeaderSource,
        min_free: u64,
        line: &[u8],
        sequence: u64,
    ) -> io::Result<()>
    where
        S: FileSystem<File = F>,
    {
        let length = line.len() as u64;
        let Some(active) = &mut self.active else {
            return self.begin(files, header, min_free, line, sequence);
        };
        let before = active.segment.size;
        let after = before.saturating_add(length);
        let growth = cost(after) - cost(before);
        if growth != 0 {
            self.make_room(files, growth, min_free)?;
        }
        let Some(active) = &mut self.active else { return Ok(()) };
        if let Err(error) = active.file.append(line) {
            if active.file.truncate(before).is_err() {
                // What the append has left is cut when the store is opened the next time.
                active.segment.size = after;
                self.abandon();
            }
            return Err(error);
        }
        active.segment.size = after;
        active.last = active.last.max(sequence);
        Ok(())
    }

    /// Begins a segment with a header and its first line, in one write.
    fn begin<S>(
        &mut self,
        files: &S,
        header: &HeaderSource,
        min_free: u64,
        line: &[u8],
        sequence: u64,
    ) -> io::Result<()>
    where
        S: FileSystem<File = F>,
    {
        let begun = Timestamp::now();
        let mut bytes = header.line(self.lane, begun)?;
        bytes.extend_from_slice(line);
        let size = bytes.len() as u64;
        self.make_room(files, cost(size), min_free)?;
        let name = Name { number: self.next_number, begun: begun.as_second(), form: Form::Plain };
        let mut file = files.create(self.lane, &name.to_string())?;
        self.next_number += 1;
        if let Err(error) = file.append(&bytes) {
            if files.remove(self.lane, &name.to_string()).is_err() {
                self.segments.push_back(Segment { name, size });
            }
            return Err(error);
        }
        let segment = Segment { name, size };
        self.active = Some(Active { file, segment, last: sequence, is_new: true });
        Ok(())
    }

    /// Makes sure that what was appended is on disk.
    pub(super) fn sync<S>(&mut self, files: &S) -> Result<(), SyncError>
    where
        S: FileSystem<File = F>,
    {
        let result = match &mut self.active {
            Some(active) => active.file.sync().and_then(|()| {
                if active.is_new {
                    files.sync_names(self.lane)?;
                    active.is_new = false;
                }
                Ok(())
            }),
            None => Ok(()),
        };
        self.unsynced_size = 0;
        let records = std::mem::take(&mut self.unsynced);
        result.map_err(|error| {
            // The kernel may count pages as written that are not (fsync reports an error once), so
            // that only another file is sure to have the records.
            self.abandon();
            SyncError { error, records }
        })
    }

    /// Whether the active segment has its full size.
    pub(super) fn is_full(&self) -> bool {
        let full = budget::of_segment(self.budget);
        self.active.as_ref().is_some_and(|active| active.segment.size >= full)
    }

    /// Ends the active segment, whose records are on disk, and seals it.
    pub(super) fn finish<S>(&mut self, files: &S, min_free: u64) -> io::Result<()>
    where
        S: FileSystem<File = F>,
    {
        let Some(active) = self.active.take() else { return Ok(()) };
        self.segments.push_back(active.segment);
        self.seal(files, min_free, active.segment.name, active.last)
    }

    /// Replaces a plain segment by a compressed one. After an error it stays as it is.
    pub(super) fn seal<S>(
        &mut self,
        files: &S,
        min_free: u64,
        name: Name,
        last: u64,
    ) -> io::Result<()>
    where
        S: FileSystem<File = F>,
    {
        let plain = files.read(self.lane, &name.to_string())?;
        let packed = seal::compress(&plain)?;
        drop(plain);
        let size = packed.len() as u64;
        self.make_room(files, cost(size), min_free)?;
        let Some(at) = self.segments.iter().position(|segment| segment.name == name) else {
            // It was the oldest, and is deleted.
            return Ok(());
        };
        let temporary = Segment { name: name.with(Form::Temporary), size };
        let sealed = Segment { name: name.with(Form::Sealed { last }), size };
        let (from, to) = (temporary.name.to_string(), sealed.name.to_string());
        let written = files.create(self.lane, &from).and_then(|mut file| {
            file.append(&packed)?;
            file.sync()?;
            files.rename(self.lane, &from, &to)?;
            files.sync_names(self.lane)
        });
        if let Err(error) = written {
            // Whichever of the two names it has, it is not counted on.
            for left in [temporary, sealed] {
                let removed = files.remove(self.lane, &left.name.to_string());
                if removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                    self.segments.push_front(left);
                }
            }
            return Err(error);
        }
        if let Err(error) = remove(files, self.lane, name) {
            self.segments.insert(at + 1, sealed);
            return Err(error);
        }
        self.segments[at] = sealed;
        Ok(())
    }

    /// Deletes the oldest segments until `growth` bytes more are within the budget, and on the file
    /// system.
    fn make_room<S>(&mut self, files: &S, growth: u64, min_free: u64) -> io::Result<()>
    where
        S: FileSystem<File = F>,
    {
        while self.cost().saturating_add(growth) > self.budget {
            self.delete_oldest(files)?;
        }
        // A file system that others fill up costs the store no more than it writes.
        if files.free()? < min_free.saturating_add(growth) {
            while self.freed < growth {
                self.delete_oldest(files)?;
            }
        }
        self.freed = self.freed.saturating_sub(growth);
        Ok(())
    }

    fn delete_oldest<S>(&mut self, files: &S) -> io::Result<()>
    where
        S: FileSystem<File = F>,
    {
        let Some(oldest) = self.segments.front() else {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "too little space is free"));
        };
        remove(files, self.lane, oldest.name)?;
        self.freed = self.freed.saturating_add(cost(oldest.size));
        self.segments.pop_front();
        Ok(())
    }

    /// Leaves the active segment as it is.
    fn abandon(&mut self) {
        self.segments.extend(self.active.take().map(|active| active.segment));
    }
}

/// Deletes a segment for good: after a crash of the machine it is not back, beside what took its place.
fn remove<S: FileSystem>(files: &S, lane: Lane, name: Name) -> io::Result<()> {
    match files.remove(lane, &name.to_string()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => files.sync_names(lane),
    }
}
