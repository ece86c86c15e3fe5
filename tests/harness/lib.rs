//! The test harness: kernels, scenarios, the virtual machines that run them, and the judges of what
//! fragwatch reported there.
//!
//! The tests in `vm/`, process 1 of the machines in `guest/` and `cargo xtask` use it.

pub mod build;
pub mod disk;
pub mod forecast;
pub mod job;
pub mod judge;
pub mod kernel;
pub mod matrix;
pub mod network;
pub mod overhead;
pub mod paths;
pub mod scenario;
pub mod step;
mod usage;
pub mod vm;

pub use usage::Usage;
