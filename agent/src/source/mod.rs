//! Where evidence comes from.
pub mod decode;
pub mod live;
mod missed_runs;
