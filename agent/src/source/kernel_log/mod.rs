//! Kernel logs, from bytes to lines: whatever wrote the log, what comes out is a [`line::LogLine`]
//! for each message line that stands near a trigger phrase.
//!
//! [`input`] unpacks and hands over blocks, [`window`] finds triggers in them and cuts out raw
//! lines, [`assemble`] makes messages of those (it undoes what mail, JSON and the like did to
//! them, with the help of the modules named after such), and [`reader`] is what callers use.
mod assemble;
mod date;
mod escape;
mod export;
mod input;
mod json;
pub mod line;
mod mail;
mod payload;
mod prefix;
pub mod reader;
pub mod trigger;
mod window;
mod wrap;
