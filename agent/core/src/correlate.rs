//! Container creations, and trouble outside of them, put together from evidence.
pub mod allocation_tracker;
mod correlator;
pub(crate) mod outside;
pub mod starts;

use crate::model::{incident::Incident, step::CreationStep};

pub use correlator::Correlator;

/// Creations and outside threads followed at a time.
const MAX_OPEN: usize = 4096;

/// What came out of the evidence.
#[derive(Clone, Debug, PartialEq)]
pub enum Correlated {
    /// A creation that ended.
    CreationStep(Box<CreationStep>),
    /// Trouble outside any creation.
    Incident(Box<Incident>),
}

impl Correlated {
    /// When a creation ended, `CLOCK_MONOTONIC` in nanoseconds; `None` for what is none.
    pub fn ended_ns(&self) -> Option<u64> {
        match self {
            Self::CreationStep(creation) => Some(creation.ended_ns),
            Self::Incident(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
