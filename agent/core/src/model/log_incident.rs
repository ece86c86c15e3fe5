//! Trouble that a kernel's log tells of: the lines of one failure, put together. The parts that a
//! log has and the kernel's own events have not are here too.
use crate::{
    attribution::cgroup_path,
    model::{
        allocation::Allocation,
        event::{CgroupPath, OomKill, OomScope},
        gfp::Gfp,
        log_time::LogTime,
    },
};

/// One failure, as a log tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogIncident {
    /// Numbers of its first and last line, from 1.
    pub lines: (u64, u64),
    /// When it began.
    pub time: Option<LogTime>,
    /// The host that logged it.
    pub host: Option<String>,
    /// The kernel's release, from the log or as it was given.
    pub kernel: Option<String>,
    /// The kernel's page size in bytes: as the log shows it, else 4096.
    pub page_size: u64,
    /// The process that asked for memory; the one that was killed if no other is known.
    pub pid: Option<u32>,
    /// Its name, from outside.
    pub comm: Option<String>,
    /// The cgroup of the task that asked for memory or was killed, as far as the log names it.
    pub cgroup: Option<String>,
    /// Allocations in trouble, in time order.
    pub allocations: Vec<Allocation>,
    /// What the masks without names can mean, where the kernel is not known: the first
    /// allocation's readings with the kernels that they hold for.
    pub readings: Vec<(String, Gfp)>,
    /// vmalloc that failed.
    pub vmalloc: Vec<VmallocFailed>,
    /// Slab caches that got no pages.
    pub slab_failures: Vec<SlabFailed>,
    /// Slab caches that could not be created.
    pub slab_caches: Vec<CacheNotCreated>,
    /// The OOM killer was called.
    pub oom: Option<OomCall>,
    /// Processes that it killed.
    pub oom_kills: Vec<OomKill>,
    /// The memory cgroup that was at its limit.
    pub memcg: Option<MemcgState>,
    /// Forks were refused in a cgroup.
    pub fork_refused: Option<ForkRefused>,
    /// What programs say of the container that didn't start, in time order.
    pub containers: Vec<ContainerFailure>,
    /// The node's memory as a whole.
    pub memory: Option<NodeMemory>,
    /// What is missing from the report, in sentences.
    pub gaps: Vec<String>,
    /// What /proc/buddyinfo said at another time.
    pub buddyinfo: Vec<Buddyinfo>,
}

/// vmalloc that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmallocFailed {
    /// How much was asked for, in bytes.
    pub bytes: Option<u64>,
    /// gfp mask.
    pub gfp: Option<Gfp>,
    /// What was lacking.
    pub lack: Lack,
}

/// A slab cache that got no pages for a new slab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlabFailed {
    /// The cache's name, from outside; `None` if the line is missing.
    pub cache: Option<String>,
    /// Object size in bytes.
    pub object_size: Option<u32>,
    /// The smallest order that it can do with.
    pub min_order: Option<u32>,
    /// gfp mask.
    pub gfp: Option<Gfp>,
    /// How often.
    pub times: u64,
}

/// A slab cache that could not be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheNotCreated {
    /// Its name, from outside.
    pub name: String,
    /// The error as a positive errno.
    pub errno: Option<i32>,
}

/// A call of the OOM killer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomCall {
    /// Order of the allocation that asked for it; -1 is a request by hand (sysrq).
    pub order: Option<i32>,
    /// Whose memory ran out.
    pub scope: OomScope,
    /// A page fault came back with "no memory" (`pagefault_out_of_memory`): the mask and the order
    /// are not those of the allocation that failed.
    pub page_fault: bool,
    /// A cpuset or memory policy bounded the search.
    pub bounded: bool,
}

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
}

/// Forks that were refused for a cgroup's `pids.max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkRefused {
    /// The cgroup's path.
    pub cgroup: String,
    /// How many lines say so.
    pub times: u64,
}

/// The node's memory as a whole, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// What the machine has.
    pub ram: Option<u64>,
    /// Free.
    pub free: Option<u64>,
    /// Slab that can be reclaimed.
    pub slab_reclaimable: Option<u64>,
    /// Slab that can't.
    pub slab_unreclaimable: Option<u64>,
    /// Swap.
    pub total_swap: Option<u64>,
    /// Free swap.
    pub free_swap: Option<u64>,
}

/// A zone of /proc/buddyinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buddyinfo {
    /// NUMA node.
    pub node: Option<u32>,
    /// The zone's name.
    pub name: String,
    /// Free blocks per order, from order 0.
    pub blocks: Vec<u64>,
}

/// The container that an incident is about, as far as the log names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogContainer {
    /// The runtime.
    pub runtime: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// The pod's uid.
    pub pod_uid: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
}

impl LogIncident {
    /// The container, by what programs say of it and by the cgroups that the kernel names.
    pub fn container(&self) -> Option<LogContainer> {
        let mut found = LogContainer::default();
        for failure in &self.containers {
            let set = |to: &mut Option<String>, from: &Option<String>| {
                if to.is_none() {
                    to.clone_from(from);
                }
            };
            set(&mut found.id, &failure.container);
            set(&mut found.pod, &failure.pod);
            set(&mut found.namespace, &failure.namespace);
            set(&mut found.pod_uid, &failure.pod_uid);
        }
        let of_memcg = self.memcg.as_ref().and_then(|memcg| memcg.path.as_deref());
        let of_slab = self.slab_failures.iter().find_map(SlabFailed::memcg);
        for path in [self.cgroup.as_deref(), of_memcg, of_slab].into_iter().flatten() {
            let path = CgroupPath::parse(path);
            let Some(container) = cgroup_path::find(&path) else { continue };
            found.id = found.id.take().or_else(|| container.id.clone());
            if container.id.is_none() || found.id == container.id {
                found.runtime = found.runtime.take().or(container.runtime);
                found.pod_uid = found.pod_uid.take().or(container.pod_uid);
            }
        }
        (found != LogContainer::default()).then_some(found)
    }
}

impl SlabFailed {
    /// The memory cgroup that the cache belongs to, by the cache's name (kernels before 5.9).
    pub fn memcg(&self) -> Option<&str> {
        let (_, memcg) = memcg_of_cache(self.cache.as_deref()?)?;
        Some(memcg)
    }
}

/// A container that didn't start, as a program's log says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerFailure {
    /// Who says so.
    pub program: Option<String>,
    /// The container's id.
    pub container: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's uid.
    pub pod_uid: Option<String>,
    /// The error in it, as a positive errno.
    pub errno: Option<i32>,
    /// What it says went wrong.
    pub error: StartError,
    /// What it says, shortened. It comes from outside.
    pub said: String,
}

/// What went wrong at a container's start, as far as a program says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// This cgroup directory could not be made.
    CgroupMkdir(String),
    /// A namespace was refused.
    Namespace,
    /// A process was refused.
    Process,
    /// Something that has nothing to do with memory.
    Other(&'static str),
    /// It doesn't say, or no more than an errno.
    Unsaid,
}

/// What a vmalloc lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A range of addresses.
    Addresses,
    /// It asked for more than the machine has pages.
    Request,
    /// Pages.
    Pages,
    /// The line doesn't say.
    Unsaid,
}

/// The memory cgroup in the name of a cache of its own (kernels before 5.9): its id, if it stands
/// there, and its name.
pub fn memcg_of_cache(name: &str) -> Option<(Option<u32>, &str)> {
    let (_, rest) = name.rsplit_once('(')?;
    let (id, memcg) = rest.strip_suffix(')')?.split_once(':')?;
    Some((id.parse().ok(), memcg))
}
