//! Calls of the OOM killer.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{CgroupPath, Failure};
use crate::model::{container::Container, gfp::Gfp};

/// A call of the OOM killer, and the process that it killed. A call with several victims is as many
/// of these.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OomKill {
    /// The victim's process id, if it is known.
    pub pid: Option<u32>,
    /// The victim's name, from outside; `None` if no victim was found, or it is not known.
    pub comm: Option<String>,
    /// Order of the allocation that called the OOM killer, if it is known; -1 is a request by hand
    /// (sysrq).
    pub order: Option<i32>,
    /// gfp mask of that allocation, if it is known.
    pub gfp: Option<Gfp>,
    /// Whose memory ran out.
    pub scope: OomScope,
    /// A page fault came back with "no memory" (mm/oom_kill.c `pagefault_out_of_memory`): the mask
    /// and the order are not those of the allocation that failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub page_fault: bool,
    /// A cpuset or memory policy bounded the search for memory.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bounded: bool,
    /// Id of the victim's cgroup, as in [`Task::cgroup_id`], if it is known.
    pub cgroup_id: Option<u64>,
    /// What was read when the OOM killer was called.
    pub failure: Option<Failure>,
    /// Path of the victim's cgroup, as far as it is known. Correlation adds it.
    #[serde(skip)]
    pub cgroup: Option<CgroupPath>,
    /// The victim's container, as that path and lookups say. Correlation adds it.
    #[serde(skip)]
    pub container: Option<Box<Container>>,
}

/// Whose memory ran out when the OOM killer was called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OomScope {
    /// The node's, or a part of the node's that a cpuset or memory policy allows.
    Node,
    /// A memory cgroup's, by its path where that is known.
    Memcg(Option<String>),
    /// That was not seen.
    #[default]
    Unknown,
}
