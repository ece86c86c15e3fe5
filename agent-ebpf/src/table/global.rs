//! The programs' globals: what they read of the kernel's structures, and what they are set to do.
//!
//! Their list is a macro, so that the programs declare one static for each entry and cannot have
//! another.
use Source::{Element, Enumerator, Member, Number, Setting, Size, Sized, ZoneCounter};

use super::structure;

/// An offset or enum value that the running kernel's BTF does not have.
pub const ABSENT: u32 = u32::MAX;

/// A global of the programs, which the loader sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global {
    /// The static's name in the object file.
    pub name: &'static str,
    /// What its value is.
    pub source: Source,
    /// Whether a kernel may lack it.
    pub need: Need,
}

impl Global {
    /// Its value until the loader sets it.
    #[must_use]
    pub const fn initial(&self) -> u32 {
        match self.source {
            Setting(initial) => initial,
            Member(..) | Sized(..) | Size(_) | Element(..) | Enumerator(..) | ZoneCounter(_)
            | Number(..) => ABSENT,
        }
    }
}

/// Where a global's value comes from: from BTF, except for settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Offset of a member: structure, then paths of which the first that exists counts.
    Member(&'static str, &'static [&'static str]),
    /// As [`Source::Member`], for a number that the programs read with this many bytes. One of another size is
    /// as good as absent.
    Sized(&'static str, &'static [&'static str], u32),
    /// Size of a structure.
    Size(&'static str),
    /// Offset of an element of an array of pointers: structure and member of the array, then
    /// enumeration and enumerator of the index.
    Element(&'static str, &'static str, &'static str, &'static str),
    /// An enumerator's value: enumeration, enumerator.
    Enumerator(&'static str, &'static str),
    /// Offset of a counter in `zone.vm_stat`, whose elements are longs.
    ZoneCounter(&'static str),
    /// Offset of a number in a structure that has at least this many bytes, of which the programs
    /// read the first, the low ones. Tracepoints have kept a gfp mask in four bytes and in eight.
    Number(&'static str, &'static str, u32),
    /// What the loader decides, and the value if it does not.
    Setting(u32),
}

/// Whether a kernel may lack what a global is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Something is not seen without it.
    Needed,
    /// Nothing is lost: the kernel was configured without it, or is one that never had it.
    Optional,
    /// Only candidates that attach to the tracepoint need its record.
    Record,
}

/// Calls a macro with the list of all globals, in groups of what is read together.
#[macro_export]
macro_rules! for_each_global {
    ($declare:ident) => {
        $declare! {
            /// Read for the head of every record: the task's cgroup.
            HEAD {
                TASK_CGROUPS: Needed, Member("task_struct", &["cgroups"]);
                CSS_SET_DFL_CGRP: Needed, Member("css_set", &["dfl_cgrp"]);
                CSS_SET_MEMORY:
                    Needed, Element("css_set", "subsys", "cgroup_subsys_id", "memory_cgrp_id");
                CSS_CGROUP: Needed, Member("cgroup_subsys_state", &["cgroup"]);
                CGROUP_KN: Needed, Member("cgroup", &["kn"]);
                KN_ID: Needed, Sized("kernfs_node", &["id"], 8);
            }
            /// Who is responsible for a task, which stands in the head too.
            USER {
                TASK_CRED: Optional, Member("task_struct", &["cred"]);
                CRED_USER_NS: Optional, Member("cred", &["user_ns"]);
                USER_NS_PARENT: Optional, Member("user_namespace", &["parent"]);
                USER_NS_OWNER: Optional, Member("user_namespace", &["owner"]);
            }
            /// A thread's identity: thread ids are reused.
            THREAD {
                TASK_START_TIME: Needed, Sized("task_struct", &["start_time"], 8);
            }
            /// A cgroup's path.
            CGROUP_PATH {
                KN_NAME: Needed, Member("kernfs_node", &["name"]);
                KN_PARENT: Needed, Member("kernfs_node", &["parent", "__parent"]);
            }
            /// Whether the memory controller has a hierarchy of its own (v1).
            MEMORY_HIERARCHY {
                CGROUP_ROOT: Needed, Member("cgroup", &["root"]);
            }
            /// A new network namespace.
            NETNS {
                NET_INUM: Needed, Sized("net", &["ns.inum"], 4);
                NSPROXY_NET_NS: Needed, Member("nsproxy", &["net_ns"]);
                TASK_NSPROXY: Needed, Member("task_struct", &["nsproxy"]);
            }
            /// A subsystem's initialisation for a new network namespace.
            PERNET {
                PERNET_INIT: Needed, Member("pernet_operations", &["init"]);
            }
            /// Which counters of a memory cgroup are charged.
            MEMCG_COUNTERS {
                MEMCG_MEMORY: Needed, Member("mem_cgroup", &["memory"]);
                // Only kernels with v1's limits of kernel memory and of swap have these two.
                MEMCG_KMEM: Optional, Member("mem_cgroup", &["kmem"]);
                MEMCG_MEMSW: Optional, Member("mem_cgroup", &["memsw"]);
            }
            /// The cgroup that is charged instead of the task's own, from 5.9 on.
            ACTIVE_MEMCG {
                TASK_ACTIVE_MEMCG: Optional, Member("task_struct", &["active_memcg"]);
            }
            /// The cgroup whose limit it is.
            LIMIT_OWNER {
                MEMCG_CGROUP: Needed, Member("mem_cgroup", &["css.cgroup"]);
                CSS_PARENT: Needed, Member("cgroup_subsys_state", &["parent"]);
            }
            /// A counter that refused a charge.
            COUNTER {
                COUNTER_USAGE: Needed, Member("page_counter", &["usage"]);
                COUNTER_MAX: Needed, Sized("page_counter", &["max"], 8);
            }
            /// A cgroup's limit on processes, on kernels with `CONFIG_CGROUP_PIDS`.
            PIDS {
                CSS_SET_PIDS:
                    Optional, Element("css_set", "subsys", "cgroup_subsys_id", "pids_cgrp_id");
                PIDS_COUNTER: Optional, Member("pids_cgroup", &["counter"]);
                PIDS_LIMIT: Optional, Member("pids_cgroup", &["limit"]);
            }
            /// How many processes the task's user has, and may have. Where they are counted moved in 5.14 from
            /// the user to its user namespaces, and in 6.0 behind a list of their own.
            USER_PROCESSES {
                TASK_SIGNAL: Needed, Member("task_struct", &["signal"]);
                SIGNAL_LIMITS: Needed, Member("signal_struct", &["rlim"]);
                TASK_REAL_CRED: Needed, Member("task_struct", &["real_cred"]);
                CRED_USER: Optional, Member("cred", &["user"]);
                USER_PROCESS_COUNT: Optional, Member("user_struct", &["processes"]);
                CRED_UCOUNTS: Optional, Member("cred", &["ucounts"]);
                UCOUNTS_COUNTS: Optional, Member("ucounts", &["ucount"]);
                UCOUNT_PROCESSES: Optional, Enumerator("ucount_type", "UCOUNT_RLIMIT_NPROC");
                UCOUNTS_LIMITED: Optional, Member("ucounts", &["rlimit"]);
                LIMITED_PROCESSES: Optional, Enumerator("rlimit_type", "UCOUNT_RLIMIT_NPROC");
            }
            /// The first counter that is no namespace's. Before 5.13 inotify could be left out.
            UCOUNTS {
                UCOUNT_NAMESPACES:
                    Optional, Enumerator("ucount_type", "UCOUNT_INOTIFY_INSTANCES");
            }
            /// A node's lists of zones.
            NODE {
                PGDAT_ZONELISTS: Needed, Member("pglist_data", &["node_zonelists"]);
                ZONELIST_SIZE: Needed, Size("zonelist");
            }
            /// The list of zones that an allocation may use.
            ZONELIST {
                ZONELIST_ZONEREFS: Needed, Member("zonelist", &["_zonerefs"]);
            }
            /// One of these zones.
            ZONE {
                ZONEREF_ZONE: Needed, Member("zoneref", &["zone"]);
                ZONEREF_IDX: Needed, Sized("zoneref", &["zone_idx"], 4);
                ZONEREF_SIZE: Needed, Size("zoneref");
                ZONE_WATERMARK: Needed, Member("zone", &["_watermark"]);
                ZONE_WATERMARK_BOOST: Needed, Member("zone", &["watermark_boost"]);
                ZONE_RESERVED_HIGHATOMIC:
                    Needed, Member("zone", &["nr_free_highatomic", "nr_reserved_highatomic"]);
                ZONE_LOWMEM_RESERVE: Needed, Member("zone", &["lowmem_reserve"]);
                ZONE_PGDAT: Needed, Member("zone", &["zone_pgdat"]);
                ZONE_MANAGED: Needed, Member("zone", &["managed_pages"]);
                ZONE_NAME: Needed, Member("zone", &["name"]);
                ZONE_FREE_AREA: Needed, Member("zone", &["free_area"]);
                AREA_SIZE: Needed, Size("free_area");
                AREA_NR_FREE: Needed, Member("free_area", &["nr_free"]);
                AREA_LISTS: Needed, Member("free_area", &["free_list"]);
                ZONE_FREE_PAGES: Needed, ZoneCounter("NR_FREE_PAGES");
                // Counted with CONFIG_CMA only.
                ZONE_FREE_CMA: Optional, ZoneCounter("NR_FREE_CMA_PAGES");
                PGDAT_NODE_ID: Needed, Sized("pglist_data", &["node_id"], 4);
            }
            /// The zones that a gfp mask allows. Kernels can be configured without the low ones.
            ZONE_TYPES {
                ZONE_TYPE_DMA: Optional, Enumerator("zone_type", "ZONE_DMA");
                ZONE_TYPE_DMA32: Optional, Enumerator("zone_type", "ZONE_DMA32");
                ZONE_TYPE_NORMAL: Needed, Enumerator("zone_type", "ZONE_NORMAL");
                ZONE_TYPE_MOVABLE: Needed, Enumerator("zone_type", "ZONE_MOVABLE");
            }
            /// The zones of a call of the OOM killer.
            OOM_ZONES {
                OC_ZONELIST: Needed, Member("oom_control", &["zonelist"]);
                OC_NODEMASK: Needed, Member("oom_control", &["nodemask"]);
            }
            /// A call of the OOM killer, and its victim.
            OOM {
                OC_ORDER: Needed, Sized("oom_control", &["order"], 4);
                OC_GFP: Needed, Sized("oom_control", &["gfp_mask"], 4);
                OC_MEMCG: Needed, Member("oom_control", &["memcg"]);
                OC_CHOSEN: Needed, Member("oom_control", &["chosen"]);
                TASK_TGID: Needed, Sized("task_struct", &["tgid"], 4);
                TASK_COMM: Needed, Member("task_struct", &["comm"]);
            }
            /// A thread that is inside a creation.
            OPEN {
                TASK_PID: Optional, Member("task_struct", &["pid"]);
            }
            /// Whether a process is a victim of the OOM killer.
            OOM_VICTIM {
                SIGNAL_OOM_MM: Needed, Member("signal_struct", &["oom_mm"]);
            }
            /// The record of `oom:mark_victim`.
            MARK_VICTIM {
                MARK_VICTIM_PID: Needed, Sized("trace_event_raw_mark_victim", &["pid"], 4);
            }
            /// A cgroup's hierarchy.
            CGROUP_EVENT {
                ROOT_HIERARCHY: Needed, Sized("cgroup_root", &["hierarchy_id"], 4);
            }
            /// The records of a system call.
            SYSCALL {
                SYSCALL_ARGS: Record, Member(structure::SYSCALL_ENTER, &["args"]);
                SYSCALL_RETURNED: Record, Number(structure::SYSCALL_EXIT, "ret", 8);
            }
            /// The nodes that an allocation may use.
            COMPACTION_CONTEXT {
                AC_NODEMASK: Needed, Member("alloc_context", &["nodemask"]);
            }
            /// The record of a direct compaction's begin.
            COMPACTION_TRY {
                COMPACTION_TRY_ORDER: Record, Number(structure::COMPACTION_TRY, "order", 4);
                COMPACTION_TRY_GFP: Record, Number(structure::COMPACTION_TRY, "gfp_mask", 4);
            }
            /// The records of compaction's results for a zone.
            COMPACTION_RESULT {
                COMPACTION_END_STATUS: Record, Number(structure::COMPACTION_END, "status", 4);
                COMPACTION_DEFERRED_ORDER: Record, Number(structure::COMPACTION_DEFERRED, "order", 4);
            }
            /// The records of direct and of memory cgroup reclaim.
            RECLAIM {
                RECLAIM_BEGIN_ORDER: Record, Number(structure::RECLAIM_BEGIN, "order", 4);
                RECLAIM_BEGIN_GFP: Record, Number(structure::RECLAIM_BEGIN, "gfp_flags", 4);
                RECLAIM_END_RECLAIMED: Record, Number(structure::RECLAIM_END, "nr_reclaimed", 8);
            }
            /// What the loader sets for other reasons.
            SETTINGS {
                // 1 if what happens outside creations is wanted in detail.
                WANT_ALL: Needed, Setting(0);
                // 1 if creations without trouble are wanted in detail too, not only counted.
                WANT_UNTROUBLED: Needed, Setting(0);
                // 1 if tasks are identified by their cgroup in the memory controller's own hierarchy
                // (v1), 0 for v2's.
                TASKS_ON_V1: Needed, Setting(0);
                // Id of the hierarchy of cgroups that tasks are identified by; 0 is v2's.
                TASKS_HIERARCHY: Needed, Setting(0);
                // 1 if every offset that reading zones takes is known.
                ZONES_READABLE: Needed, Setting(0);
                // __GFP_NOWARN. Unset, it has bits that no mask has.
                GFP_NOWARN: Needed, Setting($crate::table::ABSENT);
                // With __GFP_NOWARN the bits of which a caller that has a fallback has one:
                // __GFP_NORETRY|__GFP_NOMEMALLOC. Unset, it has bits that every mask has.
                GFP_GIVES_UP: Needed, Setting($crate::table::ABSENT);
                // __GFP_DIRECT_RECLAIM. Unset, it has a bit that every mask has.
                GFP_DIRECT_RECLAIM: Needed, Setting($crate::table::ABSENT);
                // __GFP_THISNODE. Unset, it has bits that no mask has.
                GFP_THISNODE: Needed, Setting($crate::table::ABSENT);
            }
        }
    };
}

macro_rules! constants {
    ($(
        $(#[$doc:meta])*
        $group:ident { $($name:ident: $need:ident, $source:expr;)+ }
    )+) => {
        $(
            $(
                #[doc = concat!("`", stringify!($source), "`")]
                pub const $name: Global =
                    Global { name: stringify!($name), source: $source, need: Need::$need };
            )+
            $(#[$doc])*
            pub const $group: &[Global] = &[$($name),+];
        )+

        /// All globals, by group.
        pub const GLOBALS: &[&[Global]] = &[$($group),+];
    };
}

for_each_global!(constants);
