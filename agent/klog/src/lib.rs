//! Kernel and runtime logs, from bytes to incidents.
//!
//! [`tree`] finds the logs in a directory or an archive. [`read`] unpacks a log and cuts out the raw lines near trigger phrases, [`transport`] makes
//! messages of them and undoes what mail, JSON and the like did to them; [`lines`] is both in one.
//! [`parse`] reads what one message says, and [`assemble`] puts together what is about the same
//! failure; [`timeline`] does that for several logs.
pub mod assemble;
pub mod explain;
pub mod line;
pub mod lines;
pub mod parse;
mod raw_line;
pub mod read;
pub mod timeline;
mod transport;
pub mod tree;

#[cfg(test)]
mod verdict_tests;
