//! What fragwatch reported of a run, compared with what the guest knows of it.

pub mod cause;
pub mod findings;
pub mod runtimes;
