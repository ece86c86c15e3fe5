//! The running kernel: its release, symbols, type information and settings.
pub mod bpf;
pub mod btf;
pub mod environment;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod function_names;
pub mod kallsyms;
pub mod offsets;
pub mod symbols;

use std::{fs, io, path::PathBuf};

use nix::unistd::{SysconfVar, sysconf};

/// A file under /proc that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read {path}: {source}")]
pub struct ReadProcError {
    /// The file's path.
    pub path: PathBuf,
    /// The kernel's error.
    pub source: io::Error,
}

/// The page size is not available.
#[derive(Debug, thiserror::Error)]
#[error("could not ask for the page size: {0}")]
pub struct PageSizeError(nix::Error);

/// The page size in bytes.
pub fn page_size() -> Result<u64, PageSizeError> {
    let size = sysconf(SysconfVar::PAGE_SIZE).map_err(PageSizeError)?;
    // Linux always returns a positive size here.
    size.and_then(|size| u64::try_from(size).ok()).ok_or(PageSizeError(nix::Error::EINVAL))
}

/// The release of the running kernel, as `uname -r` prints it.
pub fn release() -> Result<String, ReadProcError> {
    let path = PathBuf::from("/proc/sys/kernel/osrelease");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(ReadProcError { path, source }),
    }
}
