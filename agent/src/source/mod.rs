//! Where evidence comes from.
pub mod decode;
pub mod kernel_log;
pub mod live;
mod missed_runs;
