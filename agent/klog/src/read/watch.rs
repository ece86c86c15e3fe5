//! What is noticed while an input is read.
use std::sync::{Arc, atomic::AtomicBool};

use crate::read::budget::Budget;

/// What is noticed while an input is read.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// Whether compressed data ended too early, or was damaged.
    pub(crate) lost: Arc<AtomicBool>,
    /// How far it may expand.
    pub(crate) budget: Arc<Budget>,
}

impl Watch {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { lost: Arc::default(), budget: Arc::clone(budget) }
    }
}
