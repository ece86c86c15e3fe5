//! A hook and what became of it.
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::hook::State;

/// A hook.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Hook {
    /// What it observes, such as `allocation-failed`.
    pub name: String,
    /// What it is attached to, such as `kprobe:warn_alloc`; null if it is not attached.
    pub via: Option<String>,
    /// Whether it is attached; null if that was not tried.
    pub state: Option<State>,
    /// Why it is not attached to the function that it is named after, in a sentence.
    pub why: Option<String>,
    /// The same in short, each reason once: hooks that are missing for one reason share it.
    pub reasons: Vec<String>,
    /// What can't be seen because of that; null if nothing is lost.
    pub not_seen: Option<String>,
    /// `doctor`: everything that was tried, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<Attempt>>,
}

/// One way to attach that was tried.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Attempt {
    /// What, such as `kprobe:__alloc_pages_slowpath`.
    pub via: String,
    /// Why it did not work; null if it did.
    pub refusal: Option<String>,
}
