//! Reading what others wrote: bounded, and only what is a file.
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use fragwatch_core::model::identity::Identity;
use serde::de::DeserializeOwned;

/// Bytes of a file that are read; more of it is an error.
const MAX_FILE: u64 = 4 << 20;
/// Entries of a directory that are looked at.
const MAX_ENTRIES: usize = 20_000;
/// Bytes kept of a name: Kubernetes' have 253 at most.
const MAX_NAME: usize = 253;

/// The content of a regular file; `None` if it is not there.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut content = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is too large"));
    }
    Ok(Some(content))
}

/// The last bytes of a regular file, so many at most; `None` if it is not there.
pub(super) fn tail(path: &Path, len: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(len)))?;
    let mut content = Vec::new();
    file.take(len).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// A pipe or a device in the place of a file would have us wait for ever.
fn open(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_file() { Ok(Some(file)) } else { Err(io::Error::other("it is no file")) }
}

/// What was found, and why it may not be all.
#[derive(Default)]
pub(super) struct Found {
    /// What was told, the surest first.
    pub(super) known: Vec<Identity>,
    /// The last thing that could not be read.
    pub(super) unread: Option<io::Error>,
}

impl Found {
    /// Takes what could be read, if it could be.
    pub(super) fn read<T>(&mut self, result: io::Result<T>) -> Option<T> {
        result.map_err(|error| self.unread = Some(error)).ok()
    }
}

/// JSON that may hold anything; what isn't UTF-8 becomes U+FFFD.
pub(super) fn json<T: DeserializeOwned>(content: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_str(&String::from_utf8_lossy(content))?)
}

/// Names of a directory's entries, so many at most; none if it is not there.
pub(super) fn entries(path: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(path) {
        Ok(entries) => Ok(entries
            .take(MAX_ENTRIES)
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A name as long as one can be; `None` of none.
pub(super) fn name(text: &str) -> Option<String> {
    let end = text.floor_char_boundary(MAX_NAME);
    (!text.is_empty()).then(|| text[..end].to_owned())
}
