//! The hooks and their candidates, best first. Prototypes stand with the programs
//! (`agent-ebpf/src/probe`).
use fragwatch_core::model::hook::Logical;

/// A hook.
pub(super) struct Hook {
    /// What it shows.
    pub(super) logical: Logical,
    /// The function that it is named after.
    pub(super) named: &'static str,
    /// What may serve, best first.
    pub(super) candidates: &'static [Candidate],
}

/// What a hook can be attached to, and the programs for it.
pub(super) enum Candidate {
    /// fentry and fexit: no limit on how many may be inside, so no return is ever missed.
    Trampoline {
        function: &'static str,
        /// The arguments that the programs rely on: the return value stands behind them.
        parameters: u32,
        entry: &'static str,
        exit: &'static str,
    },
    /// An fexit alone, which sees the arguments too.
    Exit {
        function: &'static str,
        /// As above.
        parameters: u32,
        program: &'static str,
    },
    /// A kretprobe alone, where the arguments don't matter. Returns can be missed, as below.
    Return { function: &'static str, program: &'static str },
    /// A kprobe on entry alone.
    Entry { function: &'static str, program: &'static str },
    /// A kprobe and a kretprobe. Returns can be missed when many are inside at once: see
    /// [`GUARDS`].
    EntryAndReturn { function: &'static str, entry: &'static str, exit: &'static str },
    /// An execution breakpoint at the function's address on every CPU, for functions that the
    /// kernel lets nobody probe. A CPU has four, shared with debuggers.
    Breakpoint { function: &'static str, program: &'static str },
    /// Tracepoints, all of them or none: what is left on a kernel without kprobes.
    Tracepoints {
        /// Program, category and event, in the order in which they are attached: what ends comes
        /// before what begins.
        points: &'static [(&'static str, &'static str, &'static str)],
        /// The records that their programs read, by their structures in BTF
        /// (`kernel/offsets.rs`).
        records: &'static [&'static str],
        /// What they don't show of what the hook is for, in words; `None` if they show all of it.
        lost: Option<&'static str>,
    },
}

use Candidate::{Breakpoint, Entry, EntryAndReturn, Exit, Return, Tracepoints, Trampoline};

/// What notices that a kretprobe missed a return: the function that it is on, and tracepoints
/// behind it by program, category and event. They do nothing where none was missed.
pub(super) const GUARDS: &[(&str, (&str, &str, &str))] = &[
    ("copy_net_ns", ("unshare_guard_tracepoint", "syscalls", "sys_exit_unshare")),
    ("copy_net_ns", ("clone_guard_tracepoint", "syscalls", "sys_exit_clone")),
    ("copy_net_ns", ("clone3_guard_tracepoint", "syscalls", "sys_exit_clone3")),
];

/// What the tracepoints of direct and of memory cgroup reclaim hand over.
const RECLAIM_RECORDS: &[&str] = &[
    "trace_event_raw_mm_vmscan_direct_reclaim_begin_template",
    "trace_event_raw_mm_vmscan_direct_reclaim_end_template",
];

pub(super) const HOOKS: &[Hook] = &[
    Hook {
        logical: Logical::NetnsSetup,
        named: "copy_net_ns",
        candidates: &[
            Trampoline {
                function: "copy_net_ns",
                parameters: 3,
                entry: "netns_setup_fentry",
                exit: "netns_setup_fexit",
            },
            EntryAndReturn {
                function: "copy_net_ns",
                entry: "netns_setup_kprobe",
                exit: "netns_setup_kretprobe",
            },
            Tracepoints {
                points: &[
                    ("unshare_exit_tracepoint", "syscalls", "sys_exit_unshare"),
                    ("clone_exit_tracepoint", "syscalls", "sys_exit_clone"),
                    ("clone3_exit_tracepoint", "syscalls", "sys_exit_clone3"),
                    ("unshare_enter_tracepoint", "syscalls", "sys_enter_unshare"),
                    ("clone_enter_tracepoint", "syscalls", "sys_enter_clone"),
                    ("clone3_enter_tracepoint", "syscalls", "sys_enter_clone3"),
                ],
                records: &["syscall_trace_enter", "syscall_trace_exit"],
                lost: Some(
                    "which step of the system call an error comes from: another \
                            namespace's, or a check before any was made; and the inode of a \
                            namespace that clone made",
                ),
            },
        ],
    },
    Hook {
        logical: Logical::Namespaces,
        named: "create_new_namespaces",
        candidates: &[
            Trampoline {
                function: "create_new_namespaces",
                parameters: 4,
                entry: "namespaces_fentry",
                exit: "namespaces_fexit",
            },
            EntryAndReturn {
                function: "create_new_namespaces",
                entry: "namespaces_kprobe",
                exit: "namespaces_kretprobe",
            },
        ],
    },
    Hook {
        logical: Logical::SlowPathEntered,
        named: "__alloc_pages_slowpath",
        candidates: &[
            Entry { function: "__alloc_pages_slowpath", program: "slow_path_kprobe" },
            Entry { function: "wake_all_kswapds", program: "wake_all_kswapds_kprobe" },
            Breakpoint { function: "__alloc_pages_slowpath", program: "slow_path_breakpoint" },
            Tracepoints {
                points: &[(
                    "slow_path_tracepoint",
                    "compaction",
                    "mm_compaction_try_to_compact_pages",
                )],
                records: &["trace_event_raw_mm_compaction_try_to_compact_pages"],
                lost: Some(
                    "entries into the slow path that no direct compaction followed, such \
                            as all of order 0; and the zones at a failure",
                ),
            },
        ],
    },
    Hook {
        logical: Logical::AllocationFailed,
        named: "warn_alloc",
        candidates: &[Entry { function: "warn_alloc", program: "allocation_failed_kprobe" }],
    },
    Hook {
        logical: Logical::Compaction,
        named: "try_to_compact_pages",
        candidates: &[
            Trampoline {
                function: "try_to_compact_pages",
                parameters: 6,
                entry: "compaction_fentry",
                exit: "compaction_fexit",
            },
            EntryAndReturn {
                function: "try_to_compact_pages",
                entry: "compaction_kprobe",
                exit: "compaction_kretprobe",
            },
            Tracepoints {
                points: &[
                    ("compaction_end_tracepoint", "compaction", "mm_compaction_end"),
                    ("compaction_deferred_tracepoint", "compaction", "mm_compaction_deferred"),
                    ("compaction_begin_tracepoint", "compaction", "mm_compaction_begin"),
                    (
                        "compaction_try_tracepoint",
                        "compaction",
                        "mm_compaction_try_to_compact_pages",
                    ),
                ],
                records: &[
                    "trace_event_raw_mm_compaction_end",
                    "trace_event_raw_mm_compaction_defer_template",
                    "trace_event_raw_mm_compaction_try_to_compact_pages",
                ],
                lost: Some("zones that direct compaction skipped"),
            },
        ],
    },
    Hook {
        logical: Logical::Reclaim,
        named: "try_to_free_pages",
        candidates: &[
            Trampoline {
                function: "try_to_free_pages",
                parameters: 4,
                entry: "reclaim_fentry",
                exit: "reclaim_fexit",
            },
            EntryAndReturn {
                function: "try_to_free_pages",
                entry: "reclaim_kprobe",
                exit: "reclaim_kretprobe",
            },
            Tracepoints {
                points: &[
                    ("reclaim_end_tracepoint", "vmscan", "mm_vmscan_direct_reclaim_end"),
                    ("reclaim_begin_tracepoint", "vmscan", "mm_vmscan_direct_reclaim_begin"),
                ],
                records: RECLAIM_RECORDS,
                lost: Some("how long an allocation was held back before direct reclaim"),
            },
        ],
    },
    Hook {
        logical: Logical::SlabCache,
        named: "kmem_cache_create",
        // kmem_cache_create itself comes last: where kmem_cache_create_usercopy is a function, it
        // is what every creation goes through.
        candidates: &[
            Trampoline {
                function: "__kmem_cache_create_args",
                parameters: 4,
                entry: "slab_cache_fentry",
                exit: "slab_cache_fexit",
            },
            EntryAndReturn {
                function: "__kmem_cache_create_args",
                entry: "slab_cache_kprobe",
                exit: "slab_cache_kretprobe",
            },
            EntryAndReturn {
                function: "kmem_cache_create_usercopy",
                entry: "slab_cache_kprobe",
                exit: "slab_cache_kretprobe",
            },
            EntryAndReturn {
                function: "kmem_cache_create",
                entry: "slab_cache_kprobe",
                exit: "slab_cache_kretprobe",
            },
        ],
    },
    Hook {
        logical: Logical::PernetInit,
        named: "ops_init",
        candidates: &[
            Trampoline {
                function: "ops_init",
                parameters: 2,
                entry: "pernet_init_fentry",
                exit: "pernet_init_fexit",
            },
            EntryAndReturn {
                function: "ops_init",
                entry: "pernet_init_kprobe",
                exit: "pernet_init_kretprobe",
            },
        ],
    },
    Hook {
        logical: Logical::MemcgCharge,
        named: "page_counter_try_charge",
        candidates: &[
            Exit {
                function: "page_counter_try_charge",
                parameters: 3,
                program: "memcg_charge_fexit",
            },
            EntryAndReturn {
                function: "page_counter_try_charge",
                entry: "memcg_charge_kprobe",
                exit: "memcg_charge_kretprobe",
            },
            Tracepoints {
                points: &[
                    ("memcg_reclaim_end_tracepoint", "vmscan", "mm_vmscan_memcg_reclaim_end"),
                    ("memcg_reclaim_begin_tracepoint", "vmscan", "mm_vmscan_memcg_reclaim_begin"),
                ],
                records: RECLAIM_RECORDS,
                lost: Some("charges to a memory cgroup that failed: only reclaim for one is seen"),
            },
        ],
    },
    Hook {
        logical: Logical::OomKill,
        named: "oom_kill_process",
        candidates: &[
            Entry { function: "oom_kill_process", program: "oom_kill_kprobe" },
            Tracepoints {
                points: &[("mark_victim_tracepoint", "oom", "mark_victim")],
                records: &[],
                lost: Some(
                    "the order of the allocation that called the OOM killer, and whose \
                            memory ran out",
                ),
            },
        ],
    },
    Hook {
        logical: Logical::CgroupMade,
        named: "cgroup_mkdir",
        candidates: &[Tracepoints {
            points: &[
                ("cgroup_mkdir_tracepoint", "cgroup", "cgroup_mkdir"),
                ("cgroup_rename_tracepoint", "cgroup", "cgroup_rename"),
                ("cgroup_rmdir_tracepoint", "cgroup", "cgroup_rmdir"),
            ],
            records: &[],
            lost: None,
        }],
    },
    Hook {
        logical: Logical::CgroupSetup,
        named: "cgroup_mkdir",
        candidates: &[
            Trampoline {
                function: "cgroup_mkdir",
                parameters: 3,
                entry: "cgroup_setup_fentry",
                exit: "cgroup_setup_fexit",
            },
            EntryAndReturn {
                function: "cgroup_mkdir",
                entry: "cgroup_setup_kprobe",
                exit: "cgroup_setup_kretprobe",
            },
        ],
    },
    Hook {
        logical: Logical::MemcgSetup,
        named: "mem_cgroup_css_alloc",
        candidates: &[
            Exit { function: "mem_cgroup_css_alloc", parameters: 1, program: "memcg_setup_fexit" },
            Return { function: "mem_cgroup_css_alloc", program: "memcg_setup_kretprobe" },
        ],
    },
    Hook {
        logical: Logical::NamespaceRefused,
        named: "inc_ucount",
        candidates: &[
            Exit { function: "inc_ucount", parameters: 3, program: "namespace_refused_fexit" },
            EntryAndReturn {
                function: "inc_ucount",
                entry: "namespace_refused_kprobe",
                exit: "namespace_refused_kretprobe",
            },
        ],
    },
    Hook {
        logical: Logical::ForkRefused,
        named: "pids_can_fork",
        candidates: &[
            Exit { function: "pids_can_fork", parameters: 2, program: "fork_refused_fexit" },
            Return { function: "pids_can_fork", program: "fork_refused_kretprobe" },
        ],
    },
];
