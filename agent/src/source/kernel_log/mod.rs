//! Kernel logs, from bytes to lines: whatever wrote the log, what comes out is a [`line::LogLine`]
//! for each message line that stands near a trigger phrase.
pub mod assemble;
pub mod line;
pub mod message;
pub mod reader;
pub mod trigger;
