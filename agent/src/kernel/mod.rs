//! What the running kernel offers: its release, symbols, structure offsets and gfp names.
pub mod btf;
pub mod errno;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod gfp;
pub mod offsets;
pub mod surroundings;
pub mod symbols;
pub mod zone;

use std::{fs, io, path::PathBuf};

/// A file of the kernel that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read {path}: {source}")]
pub struct ReadError {
    /// Which file.
    pub path: PathBuf,
    /// What the kernel answered.
    pub source: io::Error,
}

/// The release of the running kernel, as `uname -r` prints it.
pub fn release() -> Result<String, ReadError> {
    let path = PathBuf::from("/proc/sys/kernel/osrelease");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(ReadError { path, source }),
    }
}
