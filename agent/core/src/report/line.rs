//! Everything that a command prints. A [`Line`] is plain data: JSON prints it as it is, text renders
//! it, and `docs/schema.json` is generated from it.
//!
//! One name means one fact in every line. Names are in snake_case, values of enums in kebab-case,
//! sizes are in bytes or end in `_kib`, durations end in `_us`. `null` is a fact that is not known.
pub mod allocation;
pub mod check;
pub mod container;
pub mod creation;
pub mod doctor;
pub mod hook;
pub mod incident;
pub mod loss;
pub mod memcg;
pub mod node;
pub mod notice;
pub mod ready;
pub mod recording;
pub mod repeats;
pub mod reproduce;
pub mod slab;
pub mod summary;
pub mod time;
pub mod unfinished;
pub mod verdict;

use schemars::JsonSchema;
use serde::Serialize;

/// One line of a report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// `trace` and `replay`: what is watched.
    Ready(ready::Ready),
    /// `trace` and `replay`: a step of a container's creation ended.
    Creation(Box<creation::Creation>),
    /// `trace` and `replay`: the container of a creation that was reported before.
    Container(container::LateContainer),
    /// A failure outside a creation's steps, seen by `trace --all` or found by `explain`.
    Incident(Box<incident::Incident>),
    /// `replay` of a store: samples around a failure.
    Recording(Box<recording::Recording>),
    /// `trace` and `replay`: a creation whose end was not seen.
    Unfinished(Box<unfinished::Unfinished>),
    /// `trace` and `replay`: steps of creations that were only counted.
    Repeats(repeats::Repeats),
    /// `trace` and `replay`: events were lost.
    Loss(loss::Loss),
    /// The totals, at the end.
    Summary(summary::Summary),
    /// `check`: whether the next container could start.
    Check(Box<check::Check>),
    /// `doctor`: what this kernel lets fragwatch see.
    Doctor(Box<doctor::Doctor>),
    /// `reproduce`: what was reached, how the command ended, and whether that was expected.
    Reproduce(Box<reproduce::Reproduce>),
}

#[cfg(test)]
mod tests;
