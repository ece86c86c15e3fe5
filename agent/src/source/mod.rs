//! Where evidence comes from.
pub mod capture;
pub mod decode;
pub mod kernel_log;
pub mod live;
mod missed_runs;
