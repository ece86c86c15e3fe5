//! Slab caches and vmalloc.
use schemars::JsonSchema;
use serde::Serialize;

use super::allocation::Gfp;

/// A slab cache that was to be created.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SlabCache {
    /// Its name.
    pub name: String,
    /// Object size in bytes.
    pub size: Option<u32>,
    /// The error.
    pub errno: Option<String>,
    /// Whether it could not be created.
    pub failed: bool,
}

/// A slab cache that got no pages for a new slab.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SlabFailure {
    /// Its name.
    pub name: Option<String>,
    /// Object size in bytes.
    pub size: Option<u32>,
    /// The smallest order that it can do with.
    pub min_order: Option<u32>,
    /// gfp mask.
    pub gfp: Option<Gfp>,
    /// How often.
    pub times: u64,
}

/// A vmalloc that failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Vmalloc {
    /// How much was asked for.
    pub bytes: Option<u64>,
    /// gfp mask.
    pub gfp: Option<Gfp>,
    /// What it lacked: `addresses`, `pages`, or `request` if it asked for more than the machine has.
    pub lack: Option<&'static str>,
}
