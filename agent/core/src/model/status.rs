//! How `check` and `doctor` end.
use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

/// The result of `check` for an order or for ids, from best to worst.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CheckStatus {
    /// Enough is left.
    Ok,
    /// Little is left.
    Tight,
    /// The files that would show it could not be read.
    Unknown,
    /// Nothing is left: the next request would fail.
    WouldFail,
}

/// How much `fragwatch trace` sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum DoctorStatus {
    /// Everything that `trace` can report.
    Full,
    /// `trace` runs, but something can't be seen.
    Degraded,
    /// `trace` can't start.
    CannotRun,
}

impl CheckStatus {
    /// The word of the monitoring plug-in conventions.
    pub fn plugin_word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Tight => "WARNING",
            Self::Unknown => "UNKNOWN",
            Self::WouldFail => "CRITICAL",
        }
    }

    /// The exit code of the monitoring plug-in conventions.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Tight => 1,
            Self::WouldFail => 2,
            Self::Unknown => 3,
        }
    }
}

impl DoctorStatus {
    /// The exit code of `fragwatch doctor`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Degraded => 1,
            Self::CannotRun => 2,
        }
    }
}
