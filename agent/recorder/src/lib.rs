//! The flight recorder of `fragwatch serve`: the samples of the last minutes in memory, and a store on
//! disk that holds events and samples within a fixed number of bytes.
//!
//! [`Recorder`] is the event loop's side: nothing in it waits for a file. The files are written by a
//! thread of the [`store`].
mod context;
pub mod forecast;
mod packed;
mod recorder;
mod ring;
pub mod store;

pub use self::recorder::{Options, Recorder};
