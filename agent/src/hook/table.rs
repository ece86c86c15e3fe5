//! The hooks and their candidates, best first. Prototypes stand with the programs
//! (`agent-ebpf/src/probe`).
use super::Logical;

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
    /// A kprobe on entry alone.
    Entry { function: &'static str, program: &'static str },
    /// A kprobe and a kretprobe. Returns can be missed when many are inside at once.
    EntryAndReturn { function: &'static str, entry: &'static str, exit: &'static str },
    /// An execution breakpoint at the function's address on every CPU, for functions that the
    /// kernel lets nobody probe. A CPU has four, shared with debuggers.
    Breakpoint { function: &'static str, program: &'static str },
    /// Tracepoints, all of them or none: what is left on a kernel without kprobes.
    Tracepoints {
        /// Program, category and event.
        points: &'static [(&'static str, &'static str, &'static str)],
        /// What they don't show of what the hook is for, in words; `None` if they show all of it.
        lost: Option<&'static str>,
    },
}

use Candidate::{Breakpoint, Entry, EntryAndReturn, Exit, Tracepoints, Trampoline};

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
        ],
    },
    Hook {
        logical: Logical::SlowPathEntered,
        named: "__alloc_pages_slowpath",
        candidates: &[
            Entry { function: "__alloc_pages_slowpath", program: "slow_path_kprobe" },
            Entry { function: "wake_all_kswapds", program: "wake_all_kswapds_kprobe" },
            Breakpoint { function: "__alloc_pages_slowpath", program: "slow_path_breakpoint" },
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
        named: "obj_cgroup_charge",
        candidates: &[
            Exit {
                function: "obj_cgroup_charge_pages",
                parameters: 3,
                program: "memcg_charge_pages_fexit",
            },
            Exit { function: "obj_cgroup_charge", parameters: 3, program: "memcg_charge_fexit" },
            EntryAndReturn {
                function: "obj_cgroup_charge",
                entry: "memcg_charge_kprobe",
                exit: "memcg_charge_kretprobe",
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
            points: &[("cgroup_mkdir_tracepoint", "cgroup", "cgroup_mkdir")],
            lost: None,
        }],
    },
];
