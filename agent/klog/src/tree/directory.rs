//! The files below a directory.
use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use fragwatch_core::model::left_out::LeftOut;
use walkdir::WalkDir;

use super::Item;
use crate::read::budget::Budget;

/// Directories in each other.
const MAX_DEPTH: usize = 64;
/// A file this large of which less than a 250th part is on disk consists of holes.
const SPARSE: u64 = 1 << 30;

/// Walks a directory. It stays on the file system of the directory itself and follows no links.
pub(super) struct Directory {
    entries: walkdir::IntoIter,
    budget: Arc<Budget>,
}

impl Directory {
    pub(super) fn new(path: &str, budget: Arc<Budget>) -> Self {
        let walk = WalkDir::new(path)
            .min_depth(1)
            .max_depth(MAX_DEPTH)
            // More would be kept in memory instead.
            .max_open(MAX_DEPTH)
            .same_file_system(true);
        Self { entries: walk.into_iter(), budget }
    }
}

impl Iterator for Directory {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let entry = match self.entries.next()? {
            Ok(entry) => entry,
            Err(error) => {
                let name = error.path().unwrap_or(Path::new("")).to_string_lossy();
                return Some(Item::LeftOut(LeftOut::Unreadable, name.into_owned()));
            }
        };
        let name = entry.path().to_string_lossy().into_owned();
        let kind = entry.file_type();
        Some(if kind.is_dir() && entry.depth() < MAX_DEPTH {
            Item::Nothing(name)
        } else if kind.is_dir() {
            Item::LeftOut(LeftOut::Nested, name)
        } else if kind.is_symlink() {
            Item::LeftOut(LeftOut::Link, name)
        } else if kind.is_file() {
            self.open(entry.path(), &name).unwrap_or(Item::LeftOut(LeftOut::Unreadable, name))
        } else {
            Item::LeftOut(LeftOut::Special, name)
        })
    }
}

impl Directory {
    /// Opens a file; what became of it meanwhile is not waited for.
    fn open(&self, path: &Path, name: &str) -> io::Result<Item> {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        let on_disk = metadata.blocks().saturating_mul(512);
        let left_out = |reason| Item::LeftOut(reason, name.to_owned());
        Ok(match metadata.len() {
            _ if !metadata.is_file() => left_out(LeftOut::Special),
            // As all files of /proc, of which some can be read without end.
            0 => Item::Nothing(name.to_owned()),
            size if size > SPARSE && on_disk < size / 250 => left_out(LeftOut::Sparse),
            _ => Item::File(name.to_owned(), self.budget.count_read(Box::new(file))),
        })
    }
}
