//! What can be seen on a kernel: the hooks and their states.
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// One thing to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Logical {
    /// A network namespace is set up.
    NetnsSetup,
    /// A container's namespaces are made.
    Namespaces,
    /// An allocation enters the slow path.
    SlowPathEntered,
    /// An allocation fails.
    AllocationFailed,
    /// Direct compaction.
    Compaction,
    /// Direct reclaim.
    Reclaim,
    /// A slab cache is created.
    SlabCache,
    /// A subsystem's per-netns initialisation fails.
    PernetInit,
    /// A charge to a memory cgroup fails.
    MemcgCharge,
    /// The OOM killer kills.
    OomKill,
    /// A cgroup is made.
    CgroupMade,
    /// A cgroup can't be made.
    CgroupSetup,
    /// The memory controller refuses a cgroup.
    MemcgSetup,
    /// A user's limit on namespaces refuses one.
    NamespaceRefused,
    /// A cgroup's limit on processes refuses a fork.
    ForkRefused,
}

impl Logical {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetnsSetup => "netns_setup",
            Self::Namespaces => "namespaces",
            Self::SlowPathEntered => "slow_path_entered",
            Self::AllocationFailed => "allocation_failed",
            Self::Compaction => "compaction",
            Self::Reclaim => "reclaim",
            Self::SlabCache => "slab_cache",
            Self::PernetInit => "pernet_init",
            Self::MemcgCharge => "memcg_charge",
            Self::OomKill => "oom_kill",
            Self::CgroupMade => "cgroup_made",
            Self::CgroupSetup => "cgroup_setup",
            Self::MemcgSetup => "memcg_setup",
            Self::NamespaceRefused => "namespace_refused",
            Self::ForkRefused => "fork_refused",
        }
    }

    /// Whether without it a verdict on what others show has less to rest on. These show steps of their
    /// own: without them such a step is not reported at all.
    pub fn bears_on_others(self) -> bool {
        !matches!(
            self,
            Self::Namespaces
                | Self::CgroupMade
                | Self::CgroupSetup
                | Self::MemcgSetup
                | Self::ForkRefused
        )
    }

    /// What is not seen without it.
    pub fn lost_without(self) -> &'static str {
        match self {
            Self::NetnsSetup => "container creations: nothing can be tied to one",
            Self::Namespaces => {
                "containers without a network namespace of their own, and failures before the \
                 network's is made"
            }
            Self::SlowPathEntered => {
                "the zones at a failure that no compaction came before, and entries into the slow \
                 path"
            }
            Self::AllocationFailed => "failed allocations",
            Self::Compaction => "compaction's results and how long it stalled",
            Self::Reclaim => "how long direct reclaim stalled",
            Self::SlabCache => "names and results of slab caches",
            Self::PernetInit => "which subsystem's initialisation failed",
            Self::MemcgCharge => {
                "charges to a memory cgroup, which fail without any allocation failing"
            }
            Self::OomKill => "processes that the OOM killer killed",
            Self::CgroupMade => "paths of cgroups that no creation began in",
            Self::CgroupSetup => "containers whose cgroup can't be made",
            Self::MemcgSetup => "whether it is the memory controller that refuses a cgroup",
            Self::NamespaceRefused => "which limit on namespaces refuses one",
            Self::ForkRefused => "forks that a cgroup's limit on processes refuses",
        }
    }
}

/// Whether a hook is in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// On the function that it is named after.
    Attached,
    /// On another function that says the same.
    Fallback,
    /// Nowhere.
    Missing,
}

impl State {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Fallback => "fallback",
            Self::Missing => "missing",
        }
    }
}

/// What became of one hook.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookStatus {
    /// Which.
    pub hook: Logical,
    /// How it is attached, such as `kprobe:warn_alloc`; `None` if it is not.
    pub via: Option<String>,
    /// Whether.
    pub state: State,
    /// Why it is not on the function that it is named after, in a sentence.
    pub why: Option<String>,
    /// What is not seen because of that, in words; `None` if nothing is lost.
    pub not_seen: Option<String>,
    /// Everything that was tried, in order. Not kept in a capture.
    #[serde(skip)]
    pub attempts: Vec<Attempt>,
}

/// One way to attach that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What, such as `kprobe:__alloc_pages_slowpath`.
    pub via: String,
    /// Why it did not work, in a sentence; `None` if it did.
    pub refusal: Option<String>,
}
