//! The file system of the machine.
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::sys::statvfs::statvfs;

use super::{
    Lane,
    file_system::{AppendFile, FileSystem},
};

/// Larger files are not the store's.
const MAX_FILE: u64 = 16 << 20;

/// A store's directory.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
}

impl Disk {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    fn path(&self, lane: Lane, name: &str) -> PathBuf {
        self.directory.join(lane.name()).join(name)
    }
}

impl FileSystem for Disk {
    type File = File;

    fn make_directories(&self) -> io::Result<()> {
        let lanes = Lane::ALL.map(|lane| self.directory.join(lane.name()));
        for directory in std::iter::once(&self.directory).chain(&lanes) {
            match DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn list(&self, lane: Lane) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.directory.join(lane.name()))? {
            let entry = entry?;
            // Not of what a symbolic link points to.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn read(&self, lane: Lane, name: &str) -> io::Result<Vec<u8>> {
        let options = OpenOptions::new().read(true).custom_flags(NO_LINK).to_owned();
        let mut bytes = Vec::new();
        options.open(self.path(lane, name))?.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&self, lane: Lane, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(NO_LINK)
            .open(self.path(lane, name))
    }

    fn truncate(&self, lane: Lane, name: &str, size: u64) -> io::Result<()> {
        let options = OpenOptions::new().write(true).custom_flags(NO_LINK).to_owned();
        options.open(self.path(lane, name))?.set_len(size)
    }

    fn rename(&self, lane: Lane, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(lane, from), self.path(lane, to))
    }

    fn remove(&self, lane: Lane, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(lane, name))
    }

    fn sync_names(&self, lane: Lane) -> io::Result<()> {
        File::open(self.directory.join(lane.name()))?.sync_all()
    }

    fn free(&self) -> io::Result<u64> {
        let stat = statvfs(&self.directory)?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }
}

/// A symbolic link where a file should be is an error.
const NO_LINK: i32 = libc::O_NOFOLLOW;

impl AppendFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()?;
        if self.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was deleted"));
        }
        Ok(())
    }
}
