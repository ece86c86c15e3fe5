//! The commands of `cargo xtask`, a module each. What tests need of them is in `tests/harness`.

pub mod bench;
pub mod build;
pub mod demo;
pub mod fixtures;
pub mod kernels;
pub mod package;
pub mod page;
pub mod setup;
pub mod test;
pub mod truth;
pub mod vm;
