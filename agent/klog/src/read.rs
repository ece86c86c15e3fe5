//! From the bytes of a log, of any length and in constant memory, to the raw lines near a trigger
//! phrase.
pub(crate) mod blocks;
pub mod input;
mod search;
pub mod trigger;
pub(crate) mod window;
