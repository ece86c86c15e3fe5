//! What the running kernel offers: its release, symbols, structure offsets and gfp names.
pub mod areas;
pub mod btf;
pub mod environment;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod offsets;
pub mod symbols;

use std::{fs, io, path::PathBuf};

use nix::unistd::{SysconfVar, sysconf};

/// A file of the kernel that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read {path}: {source}")]
pub struct ReadError {
    /// Which file.
    pub path: PathBuf,
    /// What the kernel answered.
    pub source: io::Error,
}

/// The kernel's page size can't be asked for.
#[derive(Debug, thiserror::Error)]
#[error("could not ask for the page size: {0}")]
pub struct PageSizeError(nix::Error);

/// The page size in bytes.
pub fn page_size() -> Result<u64, PageSizeError> {
    let size = sysconf(SysconfVar::PAGE_SIZE).map_err(PageSizeError)?;
    // Every Linux says it, and it is positive.
    size.and_then(|size| u64::try_from(size).ok()).ok_or(PageSizeError(nix::Error::EINVAL))
}

/// The release of the running kernel, as `uname -r` prints it.
pub fn release() -> Result<String, ReadError> {
    let path = PathBuf::from("/proc/sys/kernel/osrelease");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(ReadError { path, source }),
    }
}
