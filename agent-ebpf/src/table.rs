//! The hooks, with the functions that they are attached to and the globals that their programs read,
//! and the records that programs send. All that programs, agent, `doctor` and fixtures have to agree on
//! stands here once.
//!
//! A test of the agent compares it with the object file.
pub mod candidate;
pub mod function;
pub mod global;
mod info;
mod prototypes;
mod steps;
pub mod structure;

pub use candidate::{Candidate, Method, Tracepoint};
pub use function::Function;
pub use global::{ABSENT, GLOBALS, Global, Need, Source};
pub use info::{HookInfo, UnknownHook};

use self::{
    candidate::Candidate::{
        Entry, EntryAndReturn, EntryTrampoline, Exit, RawTracepoints, Return, Tracepoints,
        Trampoline,
    },
    global::{
        ACTIVE_MEMCG, CGROUP_EVENT, CGROUP_PATH, COMPACTION_CONTEXT, COMPACTION_RESULT,
        COMPACTION_TRY, COUNTER, CSS_PARENT, MARK_VICTIM, MEMCG_CGROUP, MEMCG_COUNTERS, MEMCG_KMEM,
        MEMCG_MEMORY, MEMCG_MEMSW, MEMORY_HIERARCHY, NETNS, NODE, OOM, OOM_VICTIM, OOM_ZONES,
        PERNET, PGDAT_NODE_ID, PIDS, RECLAIM, SYSCALL, SYSCALL_RETURNED, TASK_COMM, TASK_PID,
        TASK_SIGNAL, TASK_TGID, UCOUNTS, ZONE, ZONE_TYPES, ZONELIST,
    },
    prototypes::{
        ALLOC_PAGES_SLOWPATH, CGROUP_MKDIR, COPY_NET_NS, CREATE_NEW_NAMESPACES, INC_UCOUNT,
        KMEM_CACHE_CREATE, KMEM_CACHE_CREATE_ARGS, KMEM_CACHE_CREATE_USERCOPY,
        MEM_CGROUP_CSS_ALLOC, OOM_KILL_PROCESS, OPS_INIT, OPS_UNDO_LIST, OPS_UNDO_LIST_STABLE,
        PAGE_COUNTER_TRY_CHARGE, PIDS_CAN_FORK, TRY_TO_COMPACT_PAGES, TRY_TO_FREE_MEM_CGROUP_PAGES,
        TRY_TO_FREE_PAGES, WAKE_ALL_KSWAPDS, WAKEUP_KSWAPD, WARN_ALLOC,
    },
};
use crate::{
    numbered::numbered,
    wire::{
        AllocationFailed, BriefEnd, CgroupMade, CgroupRemoved, CgroupRenamed, CgroupSetupEnded,
        ChargeFailed, CompactionEnded, ForkRefused, MemcgReclaimEnded, NamespaceRefused,
        NetnsSetupEnded, OomKilled, PernetInitFailed, ReclaimEnded, Record, SlabCacheCreated,
        SlowPathEntered, StallBegan, StepFailed, ZoneRead, records,
    },
};

records! {
    NetnsSetupEnded = 1,
    SlowPathEntered = 2,
    AllocationFailed = 3,
    CompactionEnded = 4,
    ReclaimEnded = 5,
    SlabCacheCreated = 6,
    PernetInitFailed = 7,
    ZoneRead = 8,
    ChargeFailed = 9,
    OomKilled = 10,
    CgroupMade = 11,
    MemcgReclaimEnded = 12,
    NamespaceRefused = 13,
    CgroupSetupEnded = 14,
    ForkRefused = 15,
    CgroupRenamed = 16,
    CgroupRemoved = 17,
    StepFailed = 18,
    BriefEnd = 19,
    StallBegan = 20,
}

numbered! {
    /// One thing to observe.
    Hook {
        /// A network namespace is set up.
        NetnsSetup,
        /// A container's namespaces are created.
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
        /// A subsystem's initialisation for a network namespace fails.
        PernetInit,
        /// A charge to a memory cgroup fails.
        MemcgCharge,
        /// The OOM killer kills.
        OomKill,
        /// A cgroup is created, renamed or removed.
        CgroupMade,
        /// A cgroup can't be created.
        CgroupSetup,
        /// The memory controller refuses a cgroup.
        MemcgSetup,
        /// A user's limit on namespaces refuses one.
        NamespaceRefused,
        /// A cgroup's limit on processes refuses a fork.
        ForkRefused,
        /// A process can't be forked.
        Fork,
        /// A program can't be executed.
        Exec,
        /// A file system can't be mounted.
        Mount,
        /// A network link can't be made.
        Link,
        /// A process can't enter a cgroup.
        CgroupEntry,
        /// A process gets no session keyring.
        Keyring,
        /// A process gets no seccomp filter.
        Seccomp,
        /// A BPF program can't be loaded.
        BpfProgram,
        /// Reclaim of a memory cgroup's memory for a charge.
        MemcgReclaim,
        /// Direct compaction begins.
        CompactionBegan,
        /// Direct reclaim begins.
        ReclaimBegan,
    }
}

/// The program that reads one zone after a failure and then calls itself for the next. It belongs to no
/// hook: the loader puts it into the map [`ZONE_WALK`](crate::map::ZONE_WALK).
pub const ZONE_WALK: &str = "zone_walk_kprobe";
/// What [`ZONE_WALK`] reads, as [`HookInfo::reads`].
pub const ZONE_WALK_READS: &[&[Global]] = &[ZONE, CGROUP_PATH, &[MEMCG_CGROUP], OOM];

/// The program that learns where the nodes are, from [`SHOWS_NODES`]. It belongs to no hook either: the loader
/// attaches it while it reads `/proc/buddyinfo`.
pub const NODE_SEEN: &str = "node_seen_kprobe";
/// The function that shows a node in `/proc/buddyinfo`.
pub const SHOWS_NODES: &str = "frag_show";
/// What [`NODE_SEEN`] reads, as [`HookInfo::reads`].
pub const NODE_SEEN_READS: &[&[Global]] = &[&[PGDAT_NODE_ID]];
/// The iterator over threads that finds creations which have not ended. It belongs to no hook: the agent runs it.
pub const OPEN_CREATIONS: &str = "open_creations";
/// The function of the kernel by which that is loaded.
pub const ITERATES_TASKS: &str = "bpf_iter_task";
/// What [`OPEN_CREATIONS`] reads, as [`HookInfo::reads`].
pub const OPEN_CREATIONS_READS: &[&[Global]] = &[&[TASK_PID, TASK_TGID, TASK_COMM]];
/// The program that names an address for the agent. It belongs to no hook.
pub const SYMBOL_NAME: &str = "symbol_name";
/// The program that counts allocations that took a block of another migratetype. It belongs to no hook: `serve`
/// alone has it attached, as a raw tracepoint.
pub const BLOCK_FALLBACK: &str = "block_fallback";
/// What [`BLOCK_FALLBACK`] is attached to.
pub const BLOCK_FALLBACK_TRACEPOINT: &str = "mm_page_alloc_extfrag";

/// What creations end with: a refused charge is recorded then.
const REFUSED_CHARGE: &[Global] =
    &[MEMCG_MEMORY, MEMCG_KMEM, MEMCG_MEMSW, MEMCG_CGROUP, CSS_PARENT];

// A hook's number is its row.
const _: () = {
    let mut row = 0;
    while row < HOOKS.len() {
        assert!(HOOKS[row].hook as usize == row, "the rows stand in the order of `Hook`");
        row += 1;
    }
    assert!(HOOKS.len() == Hook::ALL.len(), "each hook has a row");
};

/// The table.
pub static HOOKS: [HookInfo; Hook::ALL.len()] = [
    HookInfo {
        hook: Hook::NetnsSetup,
        name: "netns_setup",
        function: COPY_NET_NS,
        candidates: &[
            Trampoline {
                function: COPY_NET_NS,
                entry: "netns_setup_fentry",
                exit: "netns_setup_fexit",
            },
            EntryAndReturn {
                function: COPY_NET_NS,
                entry: "netns_setup_kprobe",
                exit: "netns_setup_kretprobe",
            },
            Tracepoints {
                points: &[
                    Tracepoint::new("unshare_exit_tracepoint", "syscalls", "sys_exit_unshare"),
                    Tracepoint::new("clone_exit_tracepoint", "syscalls", "sys_exit_clone"),
                    Tracepoint::new("clone3_exit_tracepoint", "syscalls", "sys_exit_clone3"),
                    Tracepoint::new("unshare_enter_tracepoint", "syscalls", "sys_enter_unshare"),
                    Tracepoint::new("clone_enter_tracepoint", "syscalls", "sys_enter_clone"),
                    Tracepoint::new("clone3_enter_tracepoint", "syscalls", "sys_enter_clone3"),
                ],
                records: &[structure::SYSCALL_ENTER, structure::SYSCALL_EXIT],
                lost: Some(
                    "which step of the system call an error comes from: another namespace's, or a \
                     check before any was made; and the inode of a namespace that clone made",
                ),
            },
        ],
        guards: &[
            Tracepoint::new("unshare_guard_tracepoint", "syscalls", "sys_exit_unshare"),
            Tracepoint::new("clone_guard_tracepoint", "syscalls", "sys_exit_clone"),
            Tracepoint::new("clone3_guard_tracepoint", "syscalls", "sys_exit_clone3"),
        ],
        reads: &[
            CGROUP_PATH,
            MEMORY_HIERARCHY,
            NETNS,
            SYSCALL,
            REFUSED_CHARGE,
            OOM_VICTIM,
            &[TASK_SIGNAL],
        ],
        lost: "container creations: nothing can be tied to one",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::Namespaces,
        name: "namespaces",
        function: CREATE_NEW_NAMESPACES,
        candidates: &[
            Trampoline {
                function: CREATE_NEW_NAMESPACES,
                entry: "namespaces_fentry",
                exit: "namespaces_fexit",
            },
            EntryAndReturn {
                function: CREATE_NEW_NAMESPACES,
                entry: "namespaces_kprobe",
                exit: "namespaces_kretprobe",
            },
        ],
        guards: &[
            Tracepoint::new("unshare_guard_tracepoint", "syscalls", "sys_exit_unshare"),
            Tracepoint::new("clone_guard_tracepoint", "syscalls", "sys_exit_clone"),
            Tracepoint::new("clone3_guard_tracepoint", "syscalls", "sys_exit_clone3"),
        ],
        reads: &[
            CGROUP_PATH,
            MEMORY_HIERARCHY,
            NETNS,
            &[SYSCALL_RETURNED],
            REFUSED_CHARGE,
            OOM_VICTIM,
            &[TASK_SIGNAL],
        ],
        lost: "containers without a network namespace of their own, and failures before the \
               network's is made",
        supports_others: false,
    },
    HookInfo {
        hook: Hook::SlowPathEntered,
        name: "slow_path_entered",
        function: ALLOC_PAGES_SLOWPATH,
        candidates: &[
            Entry { function: ALLOC_PAGES_SLOWPATH, program: "slow_path_kprobe" },
            Entry { function: WAKE_ALL_KSWAPDS, program: "wake_all_kswapds_kprobe" },
            Entry { function: WAKEUP_KSWAPD, program: "wakeup_kswapd_kprobe" },
            Tracepoints {
                points: &[Tracepoint::new(
                    "slow_path_tracepoint",
                    "compaction",
                    "mm_compaction_try_to_compact_pages",
                )],
                records: &[structure::COMPACTION_TRY],
                lost: Some(
                    "entries into the slow path that no direct compaction followed, such as all of \
                     order 0",
                ),
            },
        ],
        guards: &[],
        reads: &[COMPACTION_TRY],
        lost: "entries into the slow path",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::AllocationFailed,
        name: "allocation_failed",
        function: WARN_ALLOC,
        // Variadic: a kprobe only.
        candidates: &[Entry { function: WARN_ALLOC, program: "allocation_failed_kprobe" }],
        guards: &[],
        reads: &[NODE, ZONELIST, ZONE_TYPES],
        lost: "failed allocations",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::Compaction,
        name: "compaction",
        function: TRY_TO_COMPACT_PAGES,
        candidates: &[
            Trampoline {
                function: TRY_TO_COMPACT_PAGES,
                entry: "compaction_fentry",
                exit: "compaction_fexit",
            },
            EntryAndReturn {
                function: TRY_TO_COMPACT_PAGES,
                entry: "compaction_kprobe",
                exit: "compaction_kretprobe",
            },
            Tracepoints {
                points: &[
                    Tracepoint::new("compaction_end_tracepoint", "compaction", "mm_compaction_end"),
                    Tracepoint::new(
                        "compaction_deferred_tracepoint",
                        "compaction",
                        "mm_compaction_deferred",
                    ),
                    Tracepoint::new(
                        "compaction_begin_tracepoint",
                        "compaction",
                        "mm_compaction_begin",
                    ),
                    Tracepoint::new(
                        "compaction_try_tracepoint",
                        "compaction",
                        "mm_compaction_try_to_compact_pages",
                    ),
                ],
                records: &[
                    structure::COMPACTION_END,
                    structure::COMPACTION_DEFERRED,
                    structure::COMPACTION_TRY,
                ],
                lost: Some("zones that direct compaction skipped"),
            },
        ],
        guards: &[],
        reads: &[COMPACTION_TRY, COMPACTION_RESULT],
        lost: "compaction's results and how long it stalled",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::Reclaim,
        name: "reclaim",
        function: TRY_TO_FREE_PAGES,
        candidates: &[
            Trampoline {
                function: TRY_TO_FREE_PAGES,
                entry: "reclaim_fentry",
                exit: "reclaim_fexit",
            },
            EntryAndReturn {
                function: TRY_TO_FREE_PAGES,
                entry: "reclaim_kprobe",
                exit: "reclaim_kretprobe",
            },
            Tracepoints {
                points: &[
                    Tracepoint::new(
                        "reclaim_end_tracepoint",
                        "vmscan",
                        "mm_vmscan_direct_reclaim_end",
                    ),
                    Tracepoint::new(
                        "reclaim_begin_tracepoint",
                        "vmscan",
                        "mm_vmscan_direct_reclaim_begin",
                    ),
                ],
                records: &[structure::RECLAIM_BEGIN, structure::RECLAIM_END],
                lost: Some("how long an allocation was held back before direct reclaim"),
            },
        ],
        guards: &[],
        reads: &[RECLAIM],
        lost: "how long direct reclaim stalled",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::SlabCache,
        name: "slab_cache",
        function: KMEM_CACHE_CREATE,
        // kmem_cache_create itself comes last: where kmem_cache_create_usercopy is a function, it
        // is what every creation goes through.
        candidates: &[
            Exit { function: KMEM_CACHE_CREATE_ARGS, program: "slab_cache_fexit" },
            EntryAndReturn {
                function: KMEM_CACHE_CREATE_ARGS,
                entry: "slab_cache_kprobe",
                exit: "slab_cache_kretprobe",
            },
            EntryAndReturn {
                function: KMEM_CACHE_CREATE_USERCOPY,
                entry: "slab_cache_kprobe",
                exit: "slab_cache_kretprobe",
            },
            EntryAndReturn {
                function: KMEM_CACHE_CREATE,
                entry: "slab_cache_kprobe",
                exit: "slab_cache_kretprobe",
            },
        ],
        guards: &[],
        reads: &[],
        lost: "names and results of slab caches",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::PernetInit,
        name: "pernet_init",
        function: OPS_INIT,
        // It runs for each of some 85 subsystems; what undoes them runs only after a failure.
        candidates: &[
            EntryTrampoline { function: OPS_UNDO_LIST, program: "pernet_undo_fentry" },
            EntryTrampoline { function: OPS_UNDO_LIST_STABLE, program: "pernet_undo_fentry" },
            Exit { function: OPS_INIT, program: "pernet_init_fexit" },
            Entry { function: OPS_UNDO_LIST, program: "pernet_undo_kprobe" },
            EntryAndReturn {
                function: OPS_INIT,
                entry: "pernet_init_kprobe",
                exit: "pernet_init_kretprobe",
            },
        ],
        guards: &[],
        reads: &[PERNET, REFUSED_CHARGE, CGROUP_PATH],
        lost: "which subsystem's initialisation failed",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::MemcgCharge,
        name: "memcg_charge",
        function: PAGE_COUNTER_TRY_CHARGE,
        candidates: &[
            Exit { function: PAGE_COUNTER_TRY_CHARGE, program: "memcg_charge_fexit" },
            EntryAndReturn {
                function: PAGE_COUNTER_TRY_CHARGE,
                entry: "memcg_charge_kprobe",
                exit: "memcg_charge_kretprobe",
            },
        ],
        guards: &[],
        reads: &[MEMCG_COUNTERS, ACTIVE_MEMCG, MEMORY_HIERARCHY, COUNTER],
        lost: "charges to a memory cgroup, which fail without any allocation failing",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::OomKill,
        name: "oom_kill",
        function: OOM_KILL_PROCESS,
        candidates: &[
            Entry { function: OOM_KILL_PROCESS, program: "oom_kill_kprobe" },
            Tracepoints {
                points: &[Tracepoint::new("mark_victim_tracepoint", "oom", "mark_victim")],
                records: &[],
                lost: Some(
                    "the order of the allocation that called the OOM killer, and whose memory ran \
                     out",
                ),
            },
        ],
        guards: &[],
        reads: &[OOM, OOM_ZONES, ZONELIST, ZONE_TYPES, CGROUP_PATH, &[MEMCG_CGROUP], MARK_VICTIM],
        lost: "processes that the OOM killer killed",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::CgroupMade,
        name: "cgroup_made",
        function: CGROUP_MKDIR,
        candidates: &[RawTracepoints {
            points: &[
                Tracepoint::new("cgroup_mkdir_raw_tracepoint", "cgroup", "cgroup_mkdir"),
                Tracepoint::new("cgroup_rename_raw_tracepoint", "cgroup", "cgroup_rename"),
                Tracepoint::new("cgroup_rmdir_raw_tracepoint", "cgroup", "cgroup_rmdir"),
            ],
        }],
        guards: &[],
        reads: &[MEMORY_HIERARCHY, CGROUP_EVENT],
        lost: "paths of cgroups that no creation began in",
        supports_others: false,
    },
    HookInfo {
        hook: Hook::CgroupSetup,
        name: "cgroup_setup",
        function: CGROUP_MKDIR,
        candidates: &[
            Trampoline {
                function: CGROUP_MKDIR,
                entry: "cgroup_setup_fentry",
                exit: "cgroup_setup_fexit",
            },
            EntryAndReturn {
                function: CGROUP_MKDIR,
                entry: "cgroup_setup_kprobe",
                exit: "cgroup_setup_kretprobe",
            },
        ],
        guards: &[
            Tracepoint::new("mkdir_guard_tracepoint", "syscalls", "sys_exit_mkdir"),
            Tracepoint::new("mkdirat_guard_tracepoint", "syscalls", "sys_exit_mkdirat"),
        ],
        reads: &[CGROUP_PATH, REFUSED_CHARGE, &[SYSCALL_RETURNED], OOM_VICTIM, &[TASK_SIGNAL]],
        lost: "containers whose cgroup can't be made",
        supports_others: false,
    },
    HookInfo {
        hook: Hook::MemcgSetup,
        name: "memcg_setup",
        function: MEM_CGROUP_CSS_ALLOC,
        candidates: &[
            Exit { function: MEM_CGROUP_CSS_ALLOC, program: "memcg_setup_fexit" },
            Return { function: MEM_CGROUP_CSS_ALLOC, program: "memcg_setup_kretprobe" },
        ],
        guards: &[],
        reads: &[],
        lost: "whether it is the memory controller that refuses a cgroup",
        supports_others: false,
    },
    HookInfo {
        hook: Hook::NamespaceRefused,
        name: "namespace_refused",
        function: INC_UCOUNT,
        candidates: &[
            Exit { function: INC_UCOUNT, program: "namespace_refused_fexit" },
            EntryAndReturn {
                function: INC_UCOUNT,
                entry: "namespace_refused_kprobe",
                exit: "namespace_refused_kretprobe",
            },
        ],
        guards: &[],
        reads: &[UCOUNTS],
        lost: "which limit on namespaces refuses one",
        supports_others: true,
    },
    HookInfo {
        hook: Hook::ForkRefused,
        name: "fork_refused",
        function: PIDS_CAN_FORK,
        candidates: &[
            Exit { function: PIDS_CAN_FORK, program: "fork_refused_fexit" },
            Return { function: PIDS_CAN_FORK, program: "fork_refused_kretprobe" },
        ],
        guards: &[],
        reads: &[PIDS, CGROUP_PATH, &[CSS_PARENT]],
        lost: "forks that a cgroup's limit on processes refuses",
        supports_others: false,
    },
    steps::FORK,
    steps::EXEC,
    steps::MOUNT,
    steps::LINK,
    steps::CGROUP_ENTRY,
    steps::KEYRING,
    steps::SECCOMP,
    steps::BPF_PROGRAM,
    HookInfo {
        hook: Hook::MemcgReclaim,
        name: "memcg_reclaim",
        function: TRY_TO_FREE_MEM_CGROUP_PAGES,
        candidates: &[RawTracepoints {
            points: &[
                Tracepoint::new(
                    "memcg_reclaim_end_raw_tracepoint",
                    "vmscan",
                    "mm_vmscan_memcg_reclaim_end",
                ),
                Tracepoint::new(
                    "memcg_reclaim_begin_raw_tracepoint",
                    "vmscan",
                    "mm_vmscan_memcg_reclaim_begin",
                ),
            ],
        }],
        guards: &[],
        reads: &[CGROUP_PATH, REFUSED_CHARGE],
        lost: "how long a creation waited for room in a memory cgroup at its limit",
        supports_others: false,
    },
    HookInfo {
        hook: Hook::CompactionBegan,
        name: "compaction_began",
        function: TRY_TO_COMPACT_PAGES,
        candidates: &[Entry { function: TRY_TO_COMPACT_PAGES, program: "compaction_began_kprobe" }],
        guards: &[],
        reads: &[COMPACTION_CONTEXT, NODE, ZONELIST, ZONE_TYPES],
        lost: "call site and zones of allocations that direct compaction helped",
        supports_others: false,
    },
    HookInfo {
        hook: Hook::ReclaimBegan,
        name: "reclaim_began",
        function: TRY_TO_FREE_PAGES,
        candidates: &[Entry { function: TRY_TO_FREE_PAGES, program: "reclaim_began_kprobe" }],
        guards: &[],
        reads: &[NODE, ZONELIST, ZONE_TYPES],
        lost: "call site and zones of allocations that direct reclaim helped",
        supports_others: false,
    },
];
