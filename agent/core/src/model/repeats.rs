//! Steps of creations that were only counted, because their user or cgroup had met too much alike.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::IntoStaticStr;

/// Steps alike that were not recorded one by one.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Which step.
    pub step: CountedStep,
    /// The error as a positive errno; `None` if they succeeded, though not without trouble.
    pub errno: Option<i32>,
    /// The user who is responsible, as [`Task::user`](super::event::Task::user).
    pub user: Option<u32>,
    /// How many since this was last said.
    pub count: u64,
    /// When the last of them ended, `CLOCK_MONOTONIC` in nanoseconds.
    pub last_ns: u64,
    /// Id of the last one's cgroup, as [`Task::cgroup_id`](super::event::Task::cgroup_id).
    pub cgroup_id: u64,
    /// Its process id.
    pub pid: u32,
    /// Its name. It comes from outside: may hold anything but NUL.
    pub comm: String,
}

/// A step of a container's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CountedStep {
    /// Its namespaces are made.
    Namespaces,
    /// Its cgroup is made.
    Cgroup,
    /// A process of it is forked.
    Fork,
    /// Its user namespace is made.
    UserNamespace,
    /// One that this fragwatch does not know.
    Other,
}

impl From<Option<fragwatch_ebpf::Step>> for CountedStep {
    fn from(step: Option<fragwatch_ebpf::Step>) -> Self {
        match step {
            Some(fragwatch_ebpf::Step::Namespaces) => Self::Namespaces,
            Some(fragwatch_ebpf::Step::Cgroup) => Self::Cgroup,
            Some(fragwatch_ebpf::Step::Fork) => Self::Fork,
            Some(fragwatch_ebpf::Step::UserNamespace) => Self::UserNamespace,
            None => Self::Other,
        }
    }
}
