//! Where evidence comes from.
mod charge_limit;
pub mod decode;
pub mod kernel_log;
pub mod live;
mod missed_runs;
