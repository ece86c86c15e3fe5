//! Container creations, and trouble outside of them, put together from evidence.
pub mod allocation_tracker;
mod correlator;
mod failed_steps;
mod kills;
mod lost_ends;
pub(crate) mod outside;
pub mod starts;
pub mod unfinished;
mod victims;

use crate::model::{
    incident::{Incident, Source},
    open_creation::Unfinished,
    step::CreationStep,
};

pub use correlator::{Correlator, RESTARTS};

/// Creations and outside threads followed at a time.
const MAX_OPEN: usize = 4096;

/// What came out of the evidence.
#[derive(Clone, Debug, PartialEq)]
pub enum Correlated {
    /// A creation that ended.
    CreationStep(Box<CreationStep>),
    /// Trouble outside any creation.
    Incident(Box<Incident>),
    /// A creation whose end was not seen.
    Unfinished(Box<Unfinished>),
}

impl From<Incident> for Correlated {
    fn from(incident: Incident) -> Self {
        Self::Incident(Box::new(incident))
    }
}

impl Correlated {
    /// When it ended, `CLOCK_MONOTONIC` in nanoseconds; `None` for what is of a log.
    pub fn time_ns(&self) -> Option<u64> {
        match self {
            Self::CreationStep(creation) => Some(creation.ended_ns),
            Self::Incident(incident) => match incident.source {
                Source::Live { time_ns } => Some(time_ns),
                Source::Log(_) => None,
            },
            Self::Unfinished(unfinished) => Some(unfinished.at_ns),
        }
    }

    /// When a creation ended, `CLOCK_MONOTONIC` in nanoseconds; `None` for what is none.
    pub fn ended_ns(&self) -> Option<u64> {
        match self {
            Self::CreationStep(creation) => Some(creation.ended_ns),
            Self::Incident(_) | Self::Unfinished(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
