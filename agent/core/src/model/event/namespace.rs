//! Kinds of namespaces.
use serde::{Deserialize, Serialize};

/// A kind of namespace that users can have a limit on (`enum ucount_type`, the same from 5.6 to 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceKind {
    /// user
    User,
    /// pid
    Pid,
    /// uts
    Uts,
    /// ipc
    Ipc,
    /// network
    Net,
    /// mount
    Mount,
    /// cgroup
    Cgroup,
    /// time
    Time,
    /// One that we have no name for.
    Other(u32),
}

impl NamespaceKind {
    /// By its number.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::User,
            1 => Self::Pid,
            2 => Self::Uts,
            3 => Self::Ipc,
            4 => Self::Net,
            5 => Self::Mount,
            6 => Self::Cgroup,
            7 => Self::Time,
            other => Self::Other(other),
        }
    }

    /// As its limit `user.max_<name>_namespaces` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Pid => "pid",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::Net => "net",
            Self::Mount => "mnt",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
            Self::Other(_) => "unknown",
        }
    }
}
