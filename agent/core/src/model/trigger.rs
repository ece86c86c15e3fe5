//! What made the flight recorder write down the samples that it holds.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// The reason for a recording.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Trigger {
    /// A step of a container's creation failed, or was degraded.
    Creation,
    /// The OOM killer killed a container's process while it started.
    OomKill,
    /// The status that `check` reports became worse.
    CheckWorse,
    /// SIGUSR1.
    Signal,
}
