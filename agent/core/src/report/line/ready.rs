//! The first line of a trace.
use schemars::JsonSchema;
use serde::Serialize;

use super::hook::Hook;

/// What is watched.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Ready {
    /// fragwatch's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// Every hook.
    pub hooks: Vec<Hook>,
    /// Everything that can't be seen, because a hook is missing or for another reason.
    pub not_seen: Vec<String>,
}
