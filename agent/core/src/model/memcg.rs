//! A memory cgroup's state, as a report shows it.

/// A memory cgroup at its limit. Amounts are in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemcgState {
    /// Its path.
    pub path: Option<String>,
    /// What it used.
    pub usage: Option<u64>,
    /// Its limit.
    pub limit: Option<u64>,
    /// What of that the kernel used for it (cgroup v1).
    pub kmem_usage: Option<u64>,
    /// The limit of that.
    pub kmem_limit: Option<u64>,
    /// What its tasks and its page cache held.
    pub held: Option<u64>,
    /// The report is one of cgroup v2, where swap is counted by itself.
    pub v2: bool,
}
