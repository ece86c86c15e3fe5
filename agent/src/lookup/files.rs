//! Bounded reading of files that other programs wrote. Only regular files are opened.
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use fragwatch_core::model::identity::Identity;
use serde::de::DeserializeOwned;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Entries of a directory that are read; further ones are ignored.
const MAX_ENTRIES: usize = 20_000;
/// Bytes kept of a name. Kubernetes limits names to 253.
const MAX_NAME: usize = 253;

/// The content of a regular file; `None` if it does not exist.
///
/// # Errors
/// If it can't be read, is no regular file or is larger than 4 MiB.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut content = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is too large"));
    }
    Ok(Some(content))
}

/// The last `len` bytes of a regular file, or all of a shorter one; `None` if it does not exist.
pub(super) fn tail(path: &Path, len: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(len)))?;
    let mut content = Vec::new();
    file.take(len).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Opens without blocking, because a pipe or a device in the file's place could block for ever.
fn open(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_file() {
        Ok(Some(file))
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

/// The identities from several files. An unreadable file does not hide those of the others.
#[derive(Default)]
pub(super) struct Found {
    /// The most reliable first.
    pub(super) identities: Vec<Identity>,
    /// The last error; the identities may be incomplete.
    pub(super) error: Option<io::Error>,
}

impl Found {
    /// The value of `result`, or `None` after noting its error.
    pub(super) fn ok<T>(&mut self, result: io::Result<T>) -> Option<T> {
        result.map_err(|error| self.error = Some(error)).ok()
    }
}

/// Parses JSON. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn json<T: DeserializeOwned>(content: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_str(&String::from_utf8_lossy(content))?)
}

/// Names of a directory's entries, at most 20,000; none if it does not exist.
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

/// The name, cut to 253 bytes; `None` if it is empty.
pub(super) fn name(text: &str) -> Option<String> {
    let end = text.floor_char_boundary(MAX_NAME);
    (!text.is_empty()).then(|| text[..end].to_owned())
}
