//! A step of a container's creation.
use schemars::JsonSchema;
use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

use super::{
    allocation::Allocation,
    container::{Candidate, Cgroup, Container},
    memcg::{ChargeFailed, ForkRefused, MemcgReclaims, OomKill},
    node::Node,
    slab::SlabCache,
    time::Time,
    verdict::Verdict,
};
use crate::model::step::Outcome;

/// A step of a container's creation that ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Creation {
    /// When it ended.
    pub time: Time,
    /// Its number in this trace, from 1.
    pub id: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The error that it returned.
    pub errno: Option<String>,
    /// Which step it is.
    pub step: Step,
    /// The namespaces that were to be made, such as `net`.
    pub namespaces: Vec<&'static str>,
    /// How long it took.
    pub duration_us: u64,
    /// The process that did it.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// The thread's name.
    pub comm: String,
    /// Inode of the new network namespace.
    pub netns: Option<u32>,
    /// The cgroup of the process, or the one that was to be made.
    pub cgroup: Cgroup,
    /// The container, if it is certain.
    pub container: Option<Container>,
    /// Those that it may be otherwise, the likeliest first.
    pub candidates: Vec<Candidate>,
    /// Its allocations in trouble, in time order.
    pub allocations: Vec<Allocation>,
    /// How many more there were.
    pub allocations_omitted: u64,
    /// How many of its allocations in trouble were attempts whose failure costs nothing: no room is made for
    /// them, or the mask says that the caller has a fallback.
    pub cheap_tries: usize,
    /// It was made, after it had waited for memory longer than `--stall` sets.
    pub near_miss: bool,
    /// How long it waited in direct compaction and reclaim in all.
    pub stall_us: u64,
    /// Slab caches that it created, or could not create.
    pub slab_caches: Vec<SlabCache>,
    /// Processes that were killed for its allocations; null if that is not watched.
    pub oom_kills: Option<Vec<OomKill>>,
    /// Reclaim of its memory cgroup; null if there was none.
    pub memcg_reclaims: Option<MemcgReclaims>,
    /// Charges to a memory cgroup that failed.
    pub charges_failed: Vec<ChargeFailed>,
    /// The subsystem whose initialisation for the network namespace failed.
    pub pernet_init: Option<PernetInit>,
    /// Whether its process was itself killed by the OOM killer.
    pub killed: bool,
    /// The creation that this is a part of, if it is a further kill for the same process.
    pub continues: Option<u64>,
    /// The namespaces that a limit refused.
    pub namespaces_refused: Vec<&'static str>,
    /// The cgroup that could not be made.
    pub cgroup_refused: Option<CgroupRefused>,
    /// The fork that was refused.
    pub fork_refused: Option<ForkRefused>,
    /// How many processes its user has, and may have, where a fork or an execution failed.
    pub user_processes: Option<UserProcesses>,
    /// What else was seen of the same container's start.
    pub start: Option<Start>,
    /// The node's memory, read at another time.
    pub node: Option<Node>,
    /// Why; null if nothing was wrong.
    pub verdict: Option<Verdict>,
}

/// A step of a container's creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, IntoStaticStr, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Step {
    /// Its namespaces are made.
    Namespaces,
    /// Its cgroup is made.
    Cgroup,
    /// A process of it is forked.
    Fork,
    /// A program of it is executed.
    Exec,
    /// A file system of it is mounted.
    Mount,
    /// A network link of it is made.
    Link,
    /// A process of it enters its cgroup.
    CgroupEntry,
    /// A process of it gets a session keyring.
    Keyring,
    /// A process of it gets a seccomp filter.
    Seccomp,
    /// A BPF program is loaded for it, such as its device filter.
    BpfProgram,
    /// An allocation failed in it, outside of every step that is seen.
    Allocation,
    /// A process of it is killed, or has others killed, before its own program runs.
    OomKill,
}

/// Processes and threads of a user, as they count for `RLIMIT_NPROC`.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct UserProcesses {
    /// The user, in the initial user namespace.
    pub uid: u32,
    /// How many it has, in its user namespace.
    pub count: u64,
    /// The task's limit.
    pub limit: u64,
}

/// A subsystem whose initialisation for a network namespace failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PernetInit {
    /// Its function.
    pub init: Option<String>,
    /// The module of that function; null if it is the kernel's own.
    pub module: Option<String>,
    /// The error.
    pub errno: String,
}

/// A cgroup that could not be made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CgroupRefused {
    /// Path of the cgroup that it was to be made in.
    pub parent: String,
    /// Its own name.
    pub name: String,
    /// The error.
    pub errno: String,
    /// The controller that refused it.
    pub controller: Option<&'static str>,
    /// That controller's error.
    pub controller_errno: Option<String>,
}

/// What else was seen of the same container's start.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Start {
    /// The earliest first.
    pub parts: Vec<StartPart>,
}

/// A part of a container's start.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StartPart {
    /// What: `cgroup`, `namespaces`, or `process`.
    pub what: &'static str,
    /// How long before the end of this step.
    pub before_us: u64,
    /// Whether it is certain that it belongs to the same start.
    pub certain: bool,
    /// What ties it to this step.
    pub why: String,
}
