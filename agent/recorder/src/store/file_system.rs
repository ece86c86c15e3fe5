//! What the store needs of a file system. Tests put one in its place that fails, fills up, and forgets.
use std::io;

use super::Lane;

/// The lanes' directories and the files in them.
pub(crate) trait FileSystem {
    /// A file that is appended to.
    type File: AppendFile;

    /// Creates the directories that are missing.
    fn make_directories(&self) -> io::Result<()>;
    /// Names and sizes of the files of a lane.
    fn list(&self, lane: Lane) -> io::Result<Vec<(String, u64)>>;
    /// A whole file.
    fn read(&self, lane: Lane, name: &str) -> io::Result<Vec<u8>>;
    /// Creates a file, which must not exist.
    fn create(&self, lane: Lane, name: &str) -> io::Result<Self::File>;
    /// Cuts a file.
    fn truncate(&self, lane: Lane, name: &str, size: u64) -> io::Result<()>;
    /// Renames a file, over another one if there is one.
    fn rename(&self, lane: Lane, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, lane: Lane, name: &str) -> io::Result<()>;
    /// Makes the names in a lane outlive a crash of the machine.
    fn sync_names(&self, lane: Lane) -> io::Result<()>;
    /// Bytes that this process may still use.
    fn free(&self) -> io::Result<u64>;
}

/// A file that is appended to.
pub(crate) trait AppendFile {
    /// Appends. On an error some of it may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts what an append that failed has left.
    fn truncate(&mut self, size: u64) -> io::Result<()>;
    /// Makes the content outlive a crash of the machine.
    ///
    /// # Errors
    /// Also if the file was deleted meanwhile. After an error it is not known what of the content since
    /// the last call is on disk.
    fn sync(&mut self) -> io::Result<()>;
}
