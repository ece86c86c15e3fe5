//! Captures: what a trace observed, in a file, so that it can be reported again on another machine.
//! The format is described in [`fragwatch_core::model::entry`].
mod read;
mod write;

pub(crate) use self::write::to_line;
pub use self::{
    read::{CaptureError, CaptureItem, CaptureReader},
    write::{CreateError, Recorder},
};

#[cfg(test)]
mod tests;
