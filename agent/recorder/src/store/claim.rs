//! A store's directory that can be used, and is this process's alone.
use super::{
    MIN_SIZE, OpenError, Options,
    directory::{self, Lock},
};

/// The right to write a store. Held until it is dropped, or the store that was opened with it.
#[derive(Debug)]
pub struct Claim {
    pub(super) options: Options,
    pub(super) lock: Lock,
}

impl Claim {
    /// Checks the directory, creates it if it does not exist, and locks it.
    ///
    /// # Errors
    /// If no store can be there, in a sentence.
    pub fn new(options: Options) -> Result<Self, OpenError> {
        if options.max_size < MIN_SIZE {
            return Err(OpenError::TooSmall(options.max_size));
        }
        let lock = directory::prepare(&options.directory)?;
        Ok(Self { options, lock })
    }
}
