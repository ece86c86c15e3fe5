//! Creations whose end was not seen.
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    container::{Cgroup, Container},
    time::Time,
};

/// A creation whose end was not seen.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Unfinished {
    /// When this was found.
    pub time: Time,
    /// What has become of it.
    pub state: State,
    /// Which step it is: `namespaces`, `cgroup`, `fork`, or `other` if that was not seen.
    pub step: &'static str,
    /// The namespaces that were to be made, such as `net`, as far as that was seen.
    pub namespaces: Vec<&'static str>,
    /// How long ago it began.
    pub open_us: u64,
    /// The process that makes it.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// The thread's name.
    pub comm: String,
    /// The thread's cgroup.
    pub cgroup: Cgroup,
    /// The container, if it is certain.
    pub container: Option<Container>,
    /// What it waits for, in words; null if it has ended, or that was not seen.
    pub waits_for: Option<String>,
    /// The thread's kernel stack, innermost function first; empty if it has ended, or that was not seen.
    pub stack: Vec<String>,
    /// How long direct compaction or reclaim has been under way for it; 0 if neither is.
    pub stall_us: u64,
    /// Allocations of it that were seen to fail, with a fallback or without.
    pub allocations_failed: u64,
    /// How many more such creations there are, without a line of their own.
    pub more: u64,
}

/// What has become of a creation whose end was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is still under way.
    UnderWay,
    /// It has ended, and the record of that was lost: whether it failed is not known.
    EndLost,
}
