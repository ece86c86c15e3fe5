//! Boots each scenario once, beside the real fragwatch, and judges what it printed against what
//! the kernel and runc of the same machine said.

// First, for its macro.
#[macro_use]
mod causes;

mod burst;
mod cgroup_paths;
mod cgroup_storm;
mod check;
mod doctor;
mod endings;
mod exhausted;
mod explained;
mod fallback;
mod flood;
mod harness;
mod healthy;
mod hostile;
mod killed;
mod memcg_ids;
mod memcg_kmem_v1;
mod memcg_limit;
mod netns_limit;
mod observed;
mod oom_order1;
mod oom_real;
mod order6;
mod pids_limit;
mod recorded;
mod runtimes;
mod tracepoints;
