//! The store: a directory of append-only segments in the capture format, which never takes more than a
//! fixed number of bytes.
//!
//! Three lanes have a budget each, so that a flood of creations can't displace an incident. A lane is a
//! directory of segments; the oldest is deleted when the lane's budget is used up. No file describes
//! another one: what the store holds is what its segments hold.
mod budget;
mod claim;
mod directory;
mod disk;
mod file_system;
mod handle;
mod header;
mod lane;
mod lane_writer;
mod line;
mod name;
mod queue;
pub mod read;
mod record;
mod recover;
mod seal;
mod segments;
mod status;
mod worker;

#[cfg(test)]
mod fake_disk;
#[cfg(test)]
mod fault_tests;

use std::path::PathBuf;

pub use self::{
    claim::Claim,
    directory::OpenError,
    handle::Handle,
    lane::Lane,
    status::{Errors, LaneStatus, Notice, Severity, Status},
};
pub(crate) use self::{
    queue::Shared,
    record::{Payload, Record, to_json},
};

/// Where a store is, and how large it may become.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its directory, which is created if its parent exists.
    pub directory: PathBuf,
    /// Bytes that it may take, at least [`MIN_SIZE`].
    pub max_size: u64,
    /// Bytes that it leaves free on the file system.
    pub min_free: u64,
}

/// Entries are out of order by no more than this many numbers within a lane, except after errors.
pub(crate) const REORDERED: u64 = 4096;

/// The smallest store, in bytes.
pub const MIN_SIZE: u64 = 1 << 20;

/// The size of a store if no other is given, in bytes.
pub const DEFAULT_SIZE: u64 = 64 << 20;

/// Bytes left free on the file system if no other number is given.
pub const DEFAULT_MIN_FREE: u64 = 256 << 20;
