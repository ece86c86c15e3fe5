//! Captures: what a trace saw, in a file, so that it can be reported again without its kernel. What is
//! in one is described with [`fragwatch_core::model::entry`].
mod read;
mod write;

pub use self::{
    read::{Next, ReadError, Reader},
    write::{CreateError, Recorder},
};

#[cfg(test)]
mod tests;
