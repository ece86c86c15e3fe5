//! What `cargo xtask` can do; the tests in virtual machines use it as a library.

use std::fmt;

pub mod bench;
pub mod build;
pub mod demo;
pub mod fixtures;
pub mod kernels;
pub mod paths;
pub mod setup;
pub mod step;
pub mod test;
pub mod truth;
pub mod vm;

/// A wrong name on the command line; the exit code is 2.
#[derive(Debug)]
pub struct Usage(String);

impl Usage {
    /// A sentence that says which names there are.
    #[must_use]
    pub fn new(sentence: String) -> Self {
        Self(sentence)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
