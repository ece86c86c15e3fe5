//! Nodes on which `cargo xtask bench forecast` scores the forecast: four run into a limit, and four look like it
//! and don't. The guest does to itself what a course says, minute by minute, and sends a [`Minute`] as
//! JSON in each line of the stream [`STREAM`].

use serde::{Deserialize, Serialize};

/// The stream of minutes.
pub const STREAM: &str = "forecast";

/// What happens on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// The name of its scenario.
    pub scenario: &'static str,
    /// What happens, for people.
    pub what: &'static str,
    /// What may run out, as metrics name it.
    pub resource: &'static str,
    /// Whether it does.
    pub fails: bool,
    /// How long the guest goes on if nothing fails.
    pub minutes: u32,
}

const fn course(
    scenario: &'static str,
    what: &'static str,
    resource: &'static str,
    fails: bool,
    minutes: u32,
) -> Course {
    Course { scenario, what, resource, fails, minutes }
}

/// All of them.
pub const COURSES: [Course; 8] = [
    course("forecast-leak", "unmovable pages leak until order 6 runs out", "order-6", true, 150),
    course("forecast-cgroups", "memory cgroups leak", "memory-cgroups", true, 120),
    course("forecast-namespaces", "network namespaces leak", "net-namespaces", true, 120),
    course("forecast-growth", "a process grows until memory is exhausted", "memory", true, 150),
    course("forecast-cache", "the page cache fills memory", "order-6", false, 90),
    course("forecast-churn", "pods come and go", "memory-cgroups", false, 90),
    course(
        "forecast-deployment",
        "a deployment takes namespaces once",
        "net-namespaces",
        false,
        90,
    ),
    course("forecast-few", "few blocks are left, and stay", "order-6", false, 90),
];

/// What was seen in a minute.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Minute {
    /// Minutes since fragwatch was ready.
    pub minute: u32,
    /// Whether the limit was met in this minute.
    pub failed: bool,
    /// Every resource that the forecast says something of, with the seconds that it gives it.
    pub forecast: Vec<(String, f64)>,
    /// Free blocks per order, without the zone for old devices.
    pub blocks: Vec<u64>,
}
