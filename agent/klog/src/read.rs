//! From the bytes of a log, of any length and in constant memory, to the raw lines near a trigger
//! phrase.
pub(crate) mod blocks;
pub(crate) mod budget;
pub mod input;
pub(crate) mod search;
pub(crate) mod source;
pub mod trigger;
mod unpack;
pub(crate) mod watch;
pub(crate) mod window;
