//! Which state a machine is to be brought into.
use serde::{Deserialize, Serialize};

/// A state, as its keeper gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spec {
    /// Free memory in small blocks.
    Fragmentation(Fragmentation),
    /// A process that holds memory.
    Hog(Hog),
    /// A cgroup of its own with a limit.
    CgroupLimit(CgroupLimit),
    /// Ids of memory cgroups in use.
    MemcgIds(MemcgIds),
    /// A limit on namespaces, reached.
    Namespaces(Namespaces),
}

/// Free memory, but no free block of some order or above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragmentation {
    /// The order of which there is no block.
    pub order: u32,
    /// Free memory that is left, in KiB.
    pub keep_kib: u64,
    /// What lies between the free pages.
    pub kind: Kind,
    /// Blocks of that order that are left nevertheless.
    pub left: u64,
    /// Free blocks per order that are wanted, from order 0; if empty, single pages as far as they suffice.
    pub like: Vec<u64>,
}

/// What lies between the free pages of fragmented memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Locked pages, which compaction leaves where they are.
    Pinned,
    /// Pages of a file in memory, which compaction can move.
    PageCache,
    /// Small objects of the kernel, which nothing can move.
    Slab,
}

/// A process that holds memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hog {
    /// How much.
    pub size: HogSize,
    /// Its `oom_score_adj`: at 500 the OOM killer takes it before others, at −1000 never.
    pub oom_score_adj: i32,
    /// Files `cgroup.procs` of cgroups that it enters first.
    pub procs: Vec<String>,
}

/// How much memory a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HogSize {
    /// That much, in KiB.
    Kib(u64),
    /// All that is available but that much, in KiB.
    AllBut(u64),
}

/// A cgroup that is made for this, and its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupLimit {
    /// Its path below the hierarchy's root, such as `/fragwatch-reproduce`.
    pub cgroup: String,
    /// What is limited.
    pub limit: Limit,
}

/// A limit of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Memory, in KiB above what the cgroup uses.
    Memory(u64),
    /// Processes.
    Pids(u64),
}

/// Ids of memory cgroups in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemcgIds {
    /// The cgroup that holds the others, as in [`CgroupLimit::cgroup`].
    pub cgroup: String,
    /// Ids that are left.
    pub left: u32,
}

/// A limit on namespaces, reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Which.
    pub kind: NamespaceKind,
    /// How many more can be made.
    pub left: u64,
}

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceKind {
    /// Network namespaces.
    Net,
    /// Process id namespaces.
    Pid,
}
