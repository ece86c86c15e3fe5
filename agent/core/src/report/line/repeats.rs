//! Steps of creations that were only counted.
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    container::{Cgroup, Container},
    time::Time,
};

/// Steps alike that were counted since the last such line, because enough of them have been reported one by one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Repeats {
    /// When the last of them ended.
    pub time: Time,
    /// How many.
    pub count: u64,
    /// Which step: `namespaces`, `cgroup`, `fork` or `user-namespace`.
    pub step: &'static str,
    /// The error that they returned; null if they succeeded, though not without trouble.
    pub errno: Option<String>,
    /// The user who is responsible: the owner of their outermost user namespace, else their own; null if that was
    /// not seen.
    pub user: Option<u32>,
    /// The process of the last one.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Its cgroup.
    pub cgroup: Cgroup,
    /// The container of that cgroup.
    pub container: Option<Container>,
}
