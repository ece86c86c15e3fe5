//! What the kernel programs and the agent agree on: the records that go from one to the other, and
//! the table of hooks.
#![no_std]

pub mod map;
mod numbered;
pub mod table;
mod wire;

pub use wire::*;

/// Length of the buffer for a symbol's name with its offset, its module and a NUL. A longer one is cut.
pub const SYMBOL_LEN: usize = 256;

/// Migratetypes whose fallbacks are counted: unmovable, movable and reclaimable (5.10-7.2;
/// include/linux/mmzone.h `MIGRATE_PCPTYPES`).
pub const MIGRATETYPES: usize = 3;
