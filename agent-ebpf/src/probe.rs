//! One file per hook of the [table](fragwatch_ebpf::table), where the prototypes stand. Each has a body
//! and the programs by which it can be attached: as a kprobe and kretprobe, as fentry and fexit where
//! the kernel's BTF and ftrace allow it, or at a tracepoint.
mod allocation_failed;
mod block_fallback;
mod cgroup_made;
mod cgroup_setup;
mod compaction;
mod fork_refused;
mod memcg_charge;
mod memcg_reclaim;
mod namespace_refused;
mod namespaces;
mod netns_call;
mod netns_setup;
mod node_seen;
mod oom_kill;
mod open_creation;
mod pernet_init;
mod reclaim;
mod slab_cache;
mod slow_path;
mod stall_began;
mod step;
mod symbol_name;
mod zone_walk;
