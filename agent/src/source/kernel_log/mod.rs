//! Kernel logs, from bytes to incidents.
//!
//! [`reader`] yields a [`line::LogLine`] for each message line that stands near a trigger phrase,
//! whatever wrote the log: [`input`] unpacks, [`blocks`] reads that and looks for triggers
//! ([`search`]), [`window`] cuts out the raw lines around them, [`assemble`] makes messages of those (it undoes what mail, JSON and
//! the like did to them, with the help of the modules named after such). [`message`] reads what a
//! line says, and [`gather`] puts together what is about the same failure.
mod assemble;
mod blocks;
mod date;
mod escape;
mod export;
pub mod gather;
mod input;
mod json;
pub mod line;
mod mail;
pub mod message;
mod payload;
mod prefix;
pub mod reader;
mod search;
pub mod trigger;
mod window;
mod wrap;
