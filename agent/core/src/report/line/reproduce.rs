//! The result of `reproduce`.
use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoStaticStr;

use crate::model::verdict::Cause;

/// What was reached, how the command ended, and whether that was expected.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Reproduce {
    /// fragwatch's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// What was to be reproduced, as on the command line.
    pub asked: &'static str,
    /// The state that was reached; null if it was not.
    pub state: Option<State>,
    /// Why there is no result, if there is none.
    pub obstacle: Option<String>,
    /// The command; null if it was not run.
    pub command: Option<Command>,
    /// Steps of creations that ended in trouble while it ran; null if that was not seen.
    pub creations: Option<Creations>,
    /// What was expected, as on the command line; null if nothing was.
    pub expected: Option<String>,
    /// Whether that happened.
    pub result: Outcome,
    /// The reason for the result.
    pub reason: String,
    /// What could not be put back as it was before, in sentences.
    pub not_undone: Vec<String>,
    /// The exit code.
    pub exit_code: u8,
}

/// The result of `reproduce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// As expected; or the command succeeded, where nothing was expected.
    AsExpected,
    /// Not so.
    NotAsExpected,
    /// The state could not be reached, the command not be started, or its creations not be watched.
    NoResult,
}

impl Outcome {
    /// The exit code of `fragwatch reproduce`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::AsExpected => 0,
            Self::NotAsExpected => 1,
            Self::NoResult => 2,
        }
    }
}

/// The state that was reached.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct State {
    /// That in sentences.
    pub reached: Vec<String>,
    /// The order of which there is no free block, if that is the state.
    pub order: Option<u32>,
    /// The kernel's fragmentation index for it, of all zones together but the one for old devices.
    pub fragmentation_index: Option<f64>,
    /// The zones that ordinary allocations of the kernel may use, for states of the memory.
    pub zones: Vec<Zone>,
    /// Free blocks of these zones per order beside those of the machine that it is to be like.
    pub distance: Vec<Distance>,
    /// How long it took.
    pub took_us: u64,
}

/// What a zone has free.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Zone {
    /// NUMA node.
    pub node: u32,
    /// Its name.
    pub name: String,
    /// What it has for the order: `usable`, or why not: `exhausted`, `fragmented`, `unknown`.
    pub offer: String,
    /// Free memory.
    pub free_kib: u64,
    /// Free blocks per order that ordinary allocations may take, from order 0.
    pub free_blocks: Vec<u64>,
    /// The kernel's fragmentation index, where it says something.
    pub fragmentation_index: Option<f64>,
}

/// Free blocks of an order, wanted and reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Distance {
    /// The order.
    pub order: u32,
    /// How many there were to be.
    pub wanted: u64,
    /// How many there are.
    pub reached: u64,
}

/// The command that was run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Command {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Its exit code; null if a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// It did not end in time, and was killed.
    pub timed_out: bool,
    /// How long it ran.
    pub duration_us: u64,
}

/// Steps of creations that ended in trouble.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Creations {
    /// They failed.
    pub failed: u64,
    /// They went on without memory that they asked for, or had processes killed.
    pub degraded: u64,
    /// They waited for memory.
    pub stalled: u64,
    /// The causes of all of these, each once.
    pub causes: Vec<Cause>,
    /// Events that were lost: with any, there may have been more.
    pub lost: u64,
}
