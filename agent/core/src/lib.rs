//! What fragwatch knows and says, without a kernel: pure functions on plain data.
//!
//! Data goes one way: [`model::event`] → [`correlate`] → [`attribution`] → [`diagnose`] →
//! [`report`]; [`pipeline`] is the whole way, the same for live events and for captures.
pub mod attribution;
pub mod clock;
pub mod correlate;
pub mod diagnose;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod model;
pub mod pipeline;
pub mod report;
pub mod units;
