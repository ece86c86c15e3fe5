//! Points in time.
use std::{
    borrow::Cow,
    fmt::{self, Display},
};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::model::log_time::Wall;

/// A time of day in ISO 8601, as exactly as its source has it: in UTC, without a time zone, or
/// without the year (`--06-08T11:04:35`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time(pub Wall);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(Wall::Timestamp(at))
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Wall::Timestamp(at) => write!(f, "{at:.3}"),
            Wall::Civil(at) => write!(f, "{}", at.strftime("%Y-%m-%dT%H:%M:%S")),
            Wall::Yearless { month, day, time } => {
                write!(f, "--{month:02}-{day:02}T{}", time.strftime("%H:%M:%S"))
            }
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A time of day in ISO 8601, as exactly as its source has it: in UTC, \
                            without a time zone, or without the year (`--06-08T11:04:35`).",
        })
    }
}
