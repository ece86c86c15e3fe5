//! What fragwatch reported of a run, compared with what happened in the guest.

pub mod cause;
pub mod findings;
pub mod runtimes;
