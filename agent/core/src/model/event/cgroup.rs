//! Cgroups, their making and their paths.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Omitted;

/// A cgroup that could not be made, or that was made with trouble.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupSetup {
    /// The cgroup that it was to be made in.
    pub parent: CgroupPath,
    /// Its own name, from outside.
    pub name: String,
    /// The error as a positive errno.
    pub errno: Option<i32>,
    /// The error with which the memory controller refused it, as a positive errno.
    pub memory_errno: Option<i32>,
    /// After an error, whether the process is a victim of the OOM killer.
    #[serde(default)]
    pub oom_victim: Option<bool>,
    /// Events of it were lost.
    pub lost: bool,
    /// What was only counted.
    #[serde(default, skip_serializing_if = "Omitted::is_none")]
    pub omitted: Omitted,
}

impl CgroupSetup {
    /// One of which nothing is known.
    pub fn unknown() -> Self {
        Self {
            parent: CgroupPath { names: Vec::new(), truncated: true },
            name: String::new(),
            errno: None,
            memory_errno: None,
            oom_victim: None,
            lost: true,
            omitted: Omitted::default(),
        }
    }

    /// The path that it has, or would have had.
    pub fn path(&self) -> CgroupPath {
        let mut path = self.parent.clone();
        path.names.push(self.name.clone());
        path
    }
}

/// A cgroup's path from the root of its hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupPath {
    /// Directory names, root first.
    pub names: Vec<String>,
    /// Attributions nearer to the root are missing.
    pub truncated: bool,
}

impl CgroupPath {
    /// A path from the root, `/a/b`.
    pub fn parse(path: &str) -> Self {
        let names = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self { names, truncated: false }
    }

    /// As a path from the root; `/…/` at its beginning where names are missing.
    pub fn display(&self) -> String {
        let start = if self.truncated { "/…/" } else { "/" };
        format!("{start}{}", self.names.join("/"))
    }
}
