//! One file per logical hook. Each has a body and the wrappers by which it can be attached: as a
//! kprobe and kretprobe, or as fentry and fexit where the kernel's BTF and ftrace allow it.
mod allocation_failed;
mod compaction;
mod netns_setup;
mod pernet_init;
mod reclaim;
mod slab_cache;
mod slow_path;
