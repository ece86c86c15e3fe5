//! What is handed to the store's thread.
use fragwatch_core::{
    model::{entry::Entry, sample::Sample},
    report::escape,
};

use super::Lane;
use crate::packed::Packed;

/// An entry on its way to the disk.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) lane: Lane,
    pub(crate) sequence: u64,
    pub(crate) payload: Payload,
}

/// An entry, in little memory.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Its JSON.
    Json(String),
    /// A sample, which takes half of the memory like this.
    Sample(Box<Packed>),
}

impl Record {
    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        match &self.payload {
            Payload::Json(json) => json.len(),
            Payload::Sample(_) => size_of::<Packed>(),
        }
    }

    /// Its JSON; an error is logged and the record dropped.
    pub(super) fn json(&self) -> Option<String> {
        match &self.payload {
            Payload::Json(json) => Some(json.clone()),
            Payload::Sample(packed) => to_json(&Entry::Sample(Sample::from(&**packed))),
        }
    }
}

/// An entry's JSON; `None`, logged, if there is none.
pub(crate) fn to_json(entry: &Entry) -> Option<String> {
    match serde_json::to_string(entry) {
        Ok(json) => Some(escape(&json)),
        Err(error) => {
            log::error!("could not write an entry as JSON: {error}; it is not stored");
            None
        }
    }
}
