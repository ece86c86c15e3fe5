//! The wire contract between the kernel programs and the agent: one `#[repr(C)]` struct per event,
//! each starting with a [`Head`]. Both sides are built from this file, so there is no version.
//!
//! Arrays carry their own length (`depth`, `frames`, `zone_count`); what lies behind it is
//! whatever the ring held before and means nothing.
#![no_std]

#[cfg(feature = "decode")]
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Bytes of a task's name, as `TASK_COMM_LEN` in the kernel.
pub const COMM_LEN: usize = 16;
/// Levels of a cgroup path that are recorded, counted from the leaf.
pub const CGROUP_LEVELS: usize = 10;
/// Bytes kept of one cgroup directory's name, with its NUL.
pub const CGROUP_NAME_LEN: usize = 128;
/// Bytes kept of a slab cache's name, with its NUL.
pub const CACHE_NAME_LEN: usize = 64;
/// Bytes kept of a zone's name ("Movable" is the longest).
pub const ZONE_NAME_LEN: usize = 16;
/// Bytes kept of a zone's `free_area` array (968 on 6.12, 1144 on 7.2).
pub const AREAS_LEN: usize = 1536;
/// Failures in one creation that are recorded with zones and stack although their mask says that the
/// caller has a fallback. A creation can have hundreds, which would fill the ring.
pub const MAX_FALLBACKS: u32 = 8;
/// Kernel stack frames recorded for one failed allocation.
pub const MAX_FRAMES: usize = 40;
/// An offset or enum value that the running kernel's BTF does not have.
pub const ABSENT: u32 = u32::MAX;

/// What a record is about; the first word of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// [`NetnsSetupBegan`]
    NetnsSetupBegan = 1,
    /// [`NetnsSetupEnded`]
    NetnsSetupEnded = 2,
    /// [`SlowPathEntered`]
    SlowPathEntered = 3,
    /// [`AllocationFailed`]
    AllocationFailed = 4,
    /// [`CompactionEnded`]
    CompactionEnded = 5,
    /// [`ReclaimEnded`]
    ReclaimEnded = 6,
    /// [`SlabCacheCreated`]
    SlabCacheCreated = 7,
    /// [`PernetInitFailed`]
    PernetInitFailed = 8,
    /// [`ZoneRead`]
    ZoneRead = 9,
    /// [`ChargeFailed`]
    ChargeFailed = 10,
    /// [`OomKilled`]
    OomKilled = 11,
    /// [`CgroupMade`]
    CgroupMade = 12,
    /// [`ReclaimEnded`], but of a memory cgroup's memory, inside a creation
    MemcgReclaimEnded = 13,
    /// [`NamespaceRefused`]
    NamespaceRefused = 14,
    /// [`CgroupSetupEnded`]
    CgroupSetupEnded = 15,
    /// [`ForkRefused`]
    ForkRefused = 16,
    /// [`CgroupMade`], but it was there before, and has a new name
    CgroupRenamed = 17,
    /// [`CgroupRemoved`]
    CgroupRemoved = 18,
}

/// What the kernel side counts, per CPU; the index into the map `COUNTERS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Records for which the creations' ring had no room.
    LostCreationEvents,
    /// Records for which the ring of everything else (`--all`) had no room.
    LostOtherEvents,
    /// Creations that could not be tracked: the table of threads was full, or the arguments of the
    /// system call could not be read in time.
    UntrackedCreations,
    /// Returns that were never seen: of a creation, found when its thread id came up again, or of
    /// something inside one, found when that ended.
    UnseenReturns,
    /// Slow paths entered outside any creation, retries included.
    OutsideSlowPaths,
    /// Allocations that came back NULL outside any creation.
    OutsideFailures,
    /// Direct compactions outside any creation.
    OutsideCompactions,
    /// Direct reclaims outside any creation.
    OutsideReclaims,
    /// Records of cgroups for which their ring had no room.
    LostCgroupEvents,
}

/// How many [`Counter`]s there are.
pub const COUNTERS: u32 = 9;

/// What every record begins with.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct Head {
    /// A [`Kind`].
    pub kind: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Process id in the initial pid namespace.
    pub tgid: u32,
    /// Always 0.
    pub reserved: u32,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// When the creation that this belongs to began; with `tid` its identity, since a thread can't
    /// begin twice in one nanosecond. 0 outside any creation.
    pub creation_ns: u64,
    /// Id of the task's cgroup in the tasks' hierarchy: the memory controller's where that has one of
    /// its own (v1), else v2's.
    pub cgroup_id: u64,
    /// The task's name, padded with NULs.
    pub comm: [u8; COMM_LEN],
}

/// A cgroup's place in its hierarchy.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct CgroupPath {
    /// Its id, 0 if it could not be read.
    pub id: u64,
    /// Used entries of `names`.
    pub depth: u32,
    /// 1 if the path goes on above the recorded levels, or could not be read to its root.
    pub truncated: u32,
    /// Names of its directories, leaf first, NUL-terminated.
    pub names: [[u8; CGROUP_NAME_LEN]; CGROUP_LEVELS],
}

/// A thread began to make the namespaces of a container, a network's or a pid namespace among them:
/// it entered `create_new_namespaces`, `copy_net_ns`, or a system call that will call them.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct NetnsSetupBegan {
    /// Who and when.
    pub head: Head,
    /// Flags of the system call, where that is all that is seen; else 0.
    pub call_flags: u64,
    /// The namespaces that are made, as `CLONE_NEW*` flags, as far as they are seen.
    pub namespaces: u64,
    /// The task's memory cgroup where the memory controller has a hierarchy of its own (v1), else
    /// its cgroup in the v2 hierarchy.
    pub cgroup: CgroupPath,
}

/// What a [`NetnsSetupBegan`] began has returned.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct NetnsSetupEnded {
    /// Who and when.
    pub head: Head,
    /// 0, or the negative errno that it returned.
    pub errno: i32,
    /// Inode of the new namespace; 0 if there is none or it could not be read.
    pub netns: u32,
    /// Records of this creation for which the ring had no room, and returns that were not seen.
    pub lost: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A page allocation entered the slow path. This is not a failure.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct SlowPathEntered {
    /// Who and when.
    pub head: Head,
    /// gfp mask.
    pub gfp: u32,
    /// Order.
    pub order: u32,
}

/// One zone in reach of an allocation that came back NULL, read locklessly at that moment. One
/// record for each zone comes before the [`AllocationFailed`] that they belong to. All counts are
/// in pages.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ZoneRead {
    /// Who and when.
    pub head: Head,
    /// [`AllocationFailed::failure_ns`] of the failure that it belongs to.
    pub failure_ns: u64,
    /// Address of `zone.free_area`: an empty free list's head points to itself.
    pub areas_at: u64,
    /// `vm_stat[NR_FREE_PAGES]`.
    pub free: u64,
    /// `vm_stat[NR_FREE_CMA_PAGES]`, 0 on kernels without CMA.
    pub free_cma: u64,
    /// `managed_pages`.
    pub managed: u64,
    /// `_watermark[WMARK_MIN]`.
    pub min_watermark: u64,
    /// `_watermark[WMARK_HIGH]`.
    pub high_watermark: u64,
    /// `watermark_boost`, which `min_wmark_pages()` and its like add.
    pub watermark_boost: u64,
    /// `lowmem_reserve` against the highest zone that the allocation could have used.
    pub lowmem_reserve: u64,
    /// `nr_free_highatomic`, on older kernels `nr_reserved_highatomic`.
    pub reserved_highatomic: u64,
    /// NUMA node.
    pub node: i32,
    /// The zone's index in its node.
    pub index: u32,
    /// The zone's name, NUL-terminated.
    pub name: [u8; ZONE_NAME_LEN],
    /// 0 if all could be read; what could not be read stands as 0.
    pub errors: i64,
    /// `zone.free_area`, as it lies in memory.
    pub areas: [u8; AREAS_LEN],
}

/// A page allocation came back NULL.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct AllocationFailed {
    /// Who and when.
    pub head: Head,
    /// When the failure was noticed; with the thread's id what ties its zones to it.
    pub failure_ns: u64,
    /// gfp mask.
    pub gfp: u32,
    /// Order.
    pub order: u32,
    /// 1 if every zone in reach was looked at: the allocation's `alloc_context` was known, and its
    /// list of zones ended before the kernel's limit of programs that follow each other (32).
    pub zones_complete: u32,
    /// How many [`ZoneRead`] records belong to it; none, and no stack, behind [`MAX_FALLBACKS`].
    pub zone_count: u32,
    /// Used entries of `stack`.
    pub frames: u32,
    /// Always 0.
    pub reserved: u32,
    /// Kernel stack, innermost first.
    pub stack: [u64; MAX_FRAMES],
}

/// Direct compaction returned.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct CompactionEnded {
    /// Who and when.
    pub head: Head,
    /// gfp mask.
    pub gfp: u32,
    /// Order.
    pub order: u32,
    /// `enum compact_result`, by its number.
    pub result: u32,
    /// Always 0.
    pub reserved: u32,
    /// How long the task was in it, in nanoseconds.
    pub stall_ns: u64,
}

/// Direct reclaim returned.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ReclaimEnded {
    /// Who and when.
    pub head: Head,
    /// gfp mask.
    pub gfp: u32,
    /// Order.
    pub order: u32,
    /// Pages freed.
    pub reclaimed: u64,
    /// How long the task was in it, in nanoseconds.
    pub stall_ns: u64,
}

/// A slab cache was created, or could not be.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct SlabCacheCreated {
    /// Who and when.
    pub head: Head,
    /// Object size in bytes.
    pub size: u32,
    /// 1 if it came back NULL.
    pub failed: u32,
    /// The cache's name, NUL-terminated.
    pub name: [u8; CACHE_NAME_LEN],
}

/// A subsystem's per-netns initialisation returned an error.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct PernetInitFailed {
    /// Who and when.
    pub head: Head,
    /// When it was entered, as [`Head::time_ns`]; 0 if that was not seen.
    pub began_ns: u64,
    /// Address of its `init` function, 0 if it could not be read.
    pub init: u64,
    /// The negative errno that it returned.
    pub errno: i32,
    /// Always 0.
    pub reserved: u32,
}

/// Which of a memory cgroup's limits refused a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Limit {
    /// It is not one of a cgroup that the task is in.
    Unknown,
    /// `memory.max`, on v1 `memory.limit_in_bytes`.
    Memory,
    /// v1's `memory.kmem.limit_in_bytes`.
    Kmem,
    /// v1's `memory.memsw.limit_in_bytes`.
    MemorySwap,
}

/// The last charge to a memory cgroup that a failed step of a creation made was refused.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ChargeFailed {
    /// Who and when.
    pub head: Head,
    /// Pages that were to be charged.
    pub pages: u64,
    /// `usage` of the counter that refused, in pages, right after it did.
    pub usage: u64,
    /// Its `max`.
    pub max: u64,
    /// How often it was refused in a row: the kernel makes room and tries again.
    pub refusals: u32,
    /// A [`Limit`].
    pub limit: u32,
    /// The cgroup whose limit it is; empty if that is not known.
    pub cgroup: CgroupPath,
}

/// The OOM killer chose a victim for an allocation of the current task.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct OomKilled {
    /// Who called it and when.
    pub head: Head,
    /// The victim's process id, 0 if it could not be read.
    pub victim: u32,
    /// 1 if `order` and `gfp` were read.
    pub request_known: u32,
    /// Order of the allocation; -1 if somebody asked by hand (sysrq).
    pub order: i32,
    /// gfp mask of the allocation.
    pub gfp: u32,
    /// 0: the node's memory ran out; 1: a memory cgroup's, which is `memcg`; 2: it is not known.
    pub scope: u32,
    /// 1 if every zone that could have served was looked at, as in [`AllocationFailed`].
    pub zones_complete: u32,
    /// When the call was noticed; with the thread's id what ties its zones to it.
    pub failure_ns: u64,
    /// Id of the victim's cgroup in the v2 hierarchy, 0 if it could not be read.
    pub victim_cgroup: u64,
    /// How many [`ZoneRead`] records belong to it.
    pub zone_count: u32,
    /// Used entries of `stack`.
    pub frames: u32,
    /// The victim's name, padded with NULs.
    pub victim_comm: [u8; COMM_LEN],
    /// The memory cgroup, if it was one's.
    pub memcg: CgroupPath,
    /// Kernel stack, innermost first.
    pub stack: [u64; MAX_FRAMES],
}

/// Bytes kept of a path in [`CgroupMade`], with its NUL.
pub const CGROUP_PATH_LEN: usize = 512;

/// A cgroup was made.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct CgroupMade {
    /// Who and when.
    pub head: Head,
    /// Its id.
    pub id: u64,
    /// Id of its hierarchy, 0 for the v2 one.
    pub hierarchy: u32,
    /// Bytes of the whole path, its NUL counted; more than [`CGROUP_PATH_LEN`] if it was cut.
    pub len: u32,
    /// Its path from the hierarchy's root, NUL-terminated; the end of it if it was cut.
    pub path: [u8; CGROUP_PATH_LEN],
}

/// A cgroup was removed.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct CgroupRemoved {
    /// Who and when.
    pub head: Head,
    /// Its id.
    pub id: u64,
    /// Id of its hierarchy, 0 for the v2 one.
    pub hierarchy: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A user's limit on namespaces refused one.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct NamespaceRefused {
    /// Who and when.
    pub head: Head,
    /// Its kind, as the kernel's `enum ucount_type` numbers it.
    pub kind: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A cgroup could not be made, or with trouble.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct CgroupSetupEnded {
    /// Who and when.
    pub head: Head,
    /// 0, or the negative errno that it returned.
    pub errno: i32,
    /// 0, or the negative errno with which the memory controller refused.
    pub memory_errno: i32,
    /// As in [`NetnsSetupEnded`].
    pub lost: u32,
    /// Always 0.
    pub reserved: u32,
    /// Its directory's name, NUL-terminated.
    pub name: [u8; CGROUP_NAME_LEN],
    /// The cgroup in which it was to be made.
    pub parent: CgroupPath,
}

/// A fork was refused because a cgroup has as many processes as it may have.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "decode", derive(FromBytes, Immutable, KnownLayout))]
#[repr(C)]
pub struct ForkRefused {
    /// Who and when.
    pub head: Head,
    /// Processes and threads in it.
    pub processes: u64,
    /// Its `pids.max`.
    pub limit: u64,
    /// The cgroup whose limit it is; empty if that is not known.
    pub cgroup: CgroupPath,
}
