//! The lanes of a store, written one call at a time: no thread, no clock, no waiting.
use std::io;

use fragwatch_core::model::entry;

use super::{
    Lane, Options, Status,
    file_system::FileSystem,
    header::HeaderSource,
    lane_writer::{LaneWriter, SyncError},
    record::Record,
    recover::{Recovered, recover},
    status::LaneStatus,
};

/// Longest record, in bytes. Zones, a stack and a node's facts take some KiB.
pub(super) const MAX_RECORD: usize = 32 << 10;

/// The lanes of a store.
#[derive(Debug)]
pub(super) struct Segments<S: FileSystem> {
    files: S,
    lanes: [LaneWriter<S::File>; 3],
    header: HeaderSource,
    max_size: u64,
    min_free: u64,
}

impl<S: FileSystem> Segments<S> {
    /// Opens the lanes, or creates them. Returns also what was mended, in sentences.
    pub(super) fn open(
        files: S,
        options: &Options,
        header: &entry::Header,
    ) -> io::Result<(Self, Vec<String>)> {
        files.make_directories()?;
        let mut notices = Vec::new();
        let mut last = 0;
        let mut open = |lane| -> io::Result<LaneWriter<S::File>> {
            let Recovered { writer, last: of_lane, notices: of_this } =
                recover(&files, lane, options.max_size, options.min_free)?;
            last = last.max(of_lane);
            notices.extend(of_this);
            Ok(writer)
        };
        let [incidents, creations, samples] = Lane::ALL;
        let lanes = [open(incidents)?, open(creations)?, open(samples)?];
        let header = HeaderSource { capture: header.clone(), session: last + 1 };
        let (max_size, min_free) = (options.max_size, options.min_free);
        Ok((Self { files, lanes, header, max_size, min_free }, notices))
    }

    /// The number of this run's first entry.
    pub(super) fn first_sequence(&self) -> u64 {
        self.header.session
    }

    /// The time of day was set: later segments begin with this offset.
    pub(super) fn set_realtime_offset_ns(&mut self, realtime_offset_ns: i64) {
        self.header.capture.realtime_offset_ns = realtime_offset_ns;
    }

    /// Creates directories that are missing, after an error.
    pub(super) fn make_directories(&self) -> io::Result<()> {
        self.files.make_directories()
    }

    /// Whether the next append to a lane should come after a sync.
    pub(super) fn wants_sync(&self, lane: Lane) -> bool {
        let writer = &self.lanes[lane as usize];
        writer.wants_sync() || writer.is_full()
    }

    /// Whether a sync has something to do.
    pub(super) fn is_unsynced(&self, lane: Lane) -> bool {
        self.lanes[lane as usize].is_unsynced()
    }

    /// Appends a record. After an error it is not in the store.
    pub(super) fn append(&mut self, record: Record) -> Result<(), (io::Error, Record)> {
        let Self { files, lanes, header, min_free, .. } = self;
        lanes[record.lane as usize].append(files, header, *min_free, record)
    }

    /// Makes sure that what was appended to a lane is on disk. A segment of full size is sealed then;
    /// that it could not be is no error, and costs space alone.
    pub(super) fn sync(&mut self, lane: Lane) -> Result<(), SyncError> {
        let writer = &mut self.lanes[lane as usize];
        writer.sync(&self.files)?;
        if writer.is_full()
            && let Err(error) = writer.finish(&self.files, self.min_free)
        {
            log::debug!("could not seal a segment of {}: {error}", lane.name());
        }
        Ok(())
    }

    /// What the store is made of now.
    pub(super) fn status(&self) -> Status {
        let lanes = self.lanes.each_ref().map(|writer| LaneStatus {
            bytes: writer.cost(),
            segments: writer.segments().count() as u64,
            oldest: writer.segments().filter_map(|segment| segment.name.begun()).min(),
        });
        Status {
            bytes: lanes.iter().map(|lane| lane.bytes).sum(),
            max_bytes: self.max_size,
            lanes,
            ..Status::default()
        }
    }
}
