//! Why it failed, and what to do.
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::verdict::{Cause, Confidence};

/// A cause with what it rests on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verdict {
    /// The cause.
    pub cause: Cause,
    /// How much of what it rests on was seen.
    pub confidence: Confidence,
    /// What was seen that says so, in sentences.
    pub because: Vec<String>,
    /// What was not seen, in sentences.
    pub not_seen: Vec<String>,
    /// What can be done.
    pub remedies: Vec<Remedy>,
    /// What does not help here.
    pub no_help: Vec<String>,
}

/// Something that can be done. Nothing is run by fragwatch.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Remedy {
    /// What it does.
    pub title: String,
    /// How.
    pub command: String,
    /// What it costs.
    pub risk: String,
    /// Whether it keeps the failure from coming back.
    pub durable: bool,
}
