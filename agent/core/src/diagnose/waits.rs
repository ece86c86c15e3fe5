//! What a task waits for, in words, from its kernel stack.
//!
//! Functions are those of Linux 5.10–7.2: kernel/locking, kernel/sched, kernel/rcu, mm, net/core and kernel/cgroup.
use crate::model::frame::{Frame, plain};

/// What has to do with memory, wherever on a stack: each function by the beginning of its name.
const MEMORY: &[(&str, &str)] = &[
    ("oom_kill_process", "the OOM killer, which it has called"),
    ("out_of_memory", "the OOM killer, which it has called"),
    ("mem_cgroup_out_of_memory", "the OOM killer of its memory cgroup, which it has called"),
    ("mem_cgroup_oom", "the OOM killer of its memory cgroup"),
    (
        "mem_cgroup_handle_over_high",
        "its memory cgroup, which is above memory.high and slows it down",
    ),
    (
        "__mem_cgroup_handle_over_high",
        "its memory cgroup, which is above memory.high and slows it down",
    ),
    ("try_to_free_mem_cgroup_pages", "memory of its memory cgroup, which it reclaims"),
    ("compact_zone", "a free block, for which it compacts memory"),
    ("try_to_compact_pages", "a free block, for which it compacts memory"),
    ("try_to_free_pages", "free memory, which it reclaims"),
    ("__alloc_pages_slowpath", "free memory"),
];

/// Other ways to wait, by the innermost functions; each by the beginning of its name.
const WAYS: &[(&str, &str)] = &[
    ("synchronize_rcu", "the end of an RCU grace period"),
    ("synchronize_net", "the end of an RCU grace period"),
    ("wait_rcu_gp", "the end of an RCU grace period"),
    ("__wait_rcu_gp", "the end of an RCU grace period"),
    ("rcu_barrier", "callbacks of RCU"),
    ("synchronize_srcu", "the end of an SRCU grace period"),
    ("__flush_work", "work that it has given to a kernel worker"),
    ("flush_work", "work that it has given to a kernel worker"),
    ("flush_workqueue", "work that it has given to a kernel worker"),
    ("__refrigerator", "being thawed: it is frozen"),
    ("cgroup_enter_frozen", "being thawed: its cgroup is frozen"),
    ("do_freezer_trap", "being thawed: its cgroup is frozen"),
    ("io_schedule", "a disk"),
    ("rq_qos_wait", "a disk"),
    ("blk_mq_get_tag", "a disk"),
    ("rtnl_lock", "the lock of the network's configuration (rtnl)"),
    ("cgroup_lock_and_drain_offline", "the lock of all cgroups (cgroup_mutex)"),
    ("cgroup_kn_lock_live", "the lock of all cgroups (cgroup_mutex)"),
    ("cgroup_threadgroup_change", "the lock of all cgroups (cgroup_threadgroup_rwsem)"),
    ("percpu_down_write", "the lock of all cgroups (cgroup_threadgroup_rwsem)"),
];

/// Functions that take a lock: whose it is, their caller says.
const LOCKS: &[&str] = &[
    "rwsem_down_",
    "__down_",
    "down_",
    "mutex_lock",
    "__mutex_lock",
    "__percpu_down",
    "percpu_down",
    "__rt_mutex",
    "rt_mutex",
    "queued_spin_lock",
    "native_queued_spin_lock",
    "_raw_spin_lock",
];

/// Locks by the function that takes them.
const OWNED: &[(&str, &str)] = &[
    (
        "copy_net_ns",
        "the lock under which network namespaces are made and removed (pernet_ops_rwsem): a removal, or a module \
         that registers, holds it",
    ),
    (
        "register_pernet",
        "the lock under which network namespaces are made and removed (pernet_ops_rwsem)",
    ),
    ("rtnl_", "the lock of the network's configuration (rtnl)"),
    ("cgroup_", "the lock of all cgroups (cgroup_mutex)"),
    ("kmem_cache_", "the lock of all slab caches (slab_mutex)"),
    ("__kmem_cache_", "the lock of all slab caches (slab_mutex)"),
    ("pcpu_alloc", "the lock of per-CPU memory (pcpu_alloc_mutex)"),
];

/// Functions that only put the task to sleep.
const SLEEPS: &[&str] = &["msleep", "schedule_timeout", "usleep_range", "schedule_hrtimeout"];

/// The scheduler's and the tracer's own functions, above what waits.
const ABOVE: &[&str] = &[
    "__schedule",
    "schedule",
    "__switch_to",
    "preempt_schedule",
    "stack_trace_save",
    "wait_for_completion",
    "wait_for_common",
    "__wait_for_common",
    "do_wait_for_common",
    "bit_wait",
    "__wait_on_bit",
    "out_of_line_wait_on_bit",
    "schedule_preempt_disabled",
];

/// What a task waits for or does, to be read behind "waits for". `None` if its stack says nothing.
pub fn waits_for(stack: &[Frame]) -> Option<String> {
    let names: Vec<&Frame> = stack.iter().filter(|frame| frame.function.is_some()).collect();
    let memory = |frame: &&Frame| MEMORY.iter().find(|(name, _)| stem(frame).starts_with(name));
    if let Some((_, words)) = names.iter().find_map(memory) {
        return Some((*words).to_owned());
    }
    for (at, frame) in names.iter().enumerate() {
        let name = stem(frame);
        if is_any(name, SLEEPS) {
            // A time-out of the scheduler's is also how locks and completions wait.
            let caller = names[at + 1..].iter().find(|frame| !is_any(stem(frame), SLEEPS))?;
            if name.starts_with("schedule_timeout") && is_any(stem(caller), ABOVE) {
                continue;
            }
            return Some(format!("time to pass: {} sleeps", full(caller)));
        }
        if is_any(name, LOCKS) {
            let caller = names[at + 1..].iter().find(|frame| !is_any(stem(frame), LOCKS))?;
            let owned = OWNED.iter().find(|(function, _)| stem(caller).starts_with(function));
            return Some(match owned {
                Some((_, words)) => (*words).to_owned(),
                None => format!("a lock that {} takes", full(caller)),
            });
        }
        if let Some((_, words)) = WAYS.iter().find(|(function, _)| name.starts_with(function)) {
            return Some((*words).to_owned());
        }
        if !is_any(name, ABOVE) {
            // The kernel leaves the functions of locks and of the scheduler out of another task's stack
            // (`in_sched_functions`), so that this is what called one of them.
            let owned = OWNED.iter().find(|(function, _)| name == *function);
            return Some(match owned.filter(|_| at == 0) {
                Some((_, words)) => (*words).to_owned(),
                None => format!("something in {}", full(frame)),
            });
        }
    }
    None
}

fn is_any(name: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| name.starts_with(beginning))
}

fn stem(frame: &Frame) -> &str {
    plain(frame.function.as_deref().unwrap_or_default())
}

fn full(frame: &Frame) -> String {
    let module = frame.module.as_ref().map(|module| format!(" [{module}]")).unwrap_or_default();
    format!("{}{module}", stem(frame))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::frame;

    fn of(functions: &[&str]) -> Option<String> {
        let stack: Vec<Frame> = functions
            .iter()
            .map(|name| match name.split_once('@') {
                Some((name, module)) => frame(name, Some(module)),
                None => frame(name, None),
            })
            .collect();
        waits_for(&stack)
    }

    #[test]
    fn a_lock_is_named_by_what_takes_it() {
        let words = of(&[
            "rwsem_down_read_slowpath",
            "down_read_killable",
            "copy_net_ns",
            "create_new_namespaces",
        ]);
        assert!(words.is_some_and(|words| words.contains("pernet_ops_rwsem")));
        let words = of(&["__schedule", "schedule", "__mutex_lock.constprop.0", "foo_start@foo"]);
        assert_eq!(words.as_deref(), Some("a lock that foo_start [foo] takes"));
        let words = of(&["__mutex_lock.isra.0", "cgroup_kn_lock_live", "cgroup_mkdir"]);
        assert!(words.is_some_and(|words| words.contains("cgroup_mutex")));
    }

    #[test]
    fn memory_is_what_reclaim_and_compaction_wait_for() {
        let reclaim =
            ["io_schedule_timeout", "shrink_node", "do_try_to_free_pages", "try_to_free_pages"];
        assert_eq!(of(&reclaim).as_deref(), Some("free memory, which it reclaims"));
        let words = of(&["try_to_free_pages", "__alloc_pages_slowpath.constprop.0"]);
        assert_eq!(words.as_deref(), Some("free memory, which it reclaims"));
        let words = of(&["compact_zone", "compact_zone_order", "try_to_compact_pages"]);
        assert_eq!(words.as_deref(), Some("a free block, for which it compacts memory"));
    }

    #[test]
    fn a_sleep_is_its_callers() {
        let words = of(&["msleep", "fw_pernet_init@fragwatch_pernet", "ops_init"]);
        assert_eq!(
            words.as_deref(),
            Some("time to pass: fw_pernet_init [fragwatch_pernet] sleeps")
        );
        let words = of(&["schedule_timeout", "msleep", "fw_pernet_init@fragwatch_pernet"]);
        assert!(words.is_some_and(|words| words.contains("fw_pernet_init")));
        let words = of(&["schedule_timeout", "__wait_for_common", "__flush_work", "foo"]);
        assert_eq!(words.as_deref(), Some("work that it has given to a kernel worker"));
    }

    #[test]
    fn what_has_no_words_is_named() {
        assert_eq!(of(&["memset", "foo"]).as_deref(), Some("something in memset"));
        let words = of(&["copy_net_ns", "create_new_namespaces"]);
        assert!(words.is_some_and(|words| words.contains("pernet_ops_rwsem")));
        let words = of(&["__schedule", "schedule", "foo_wait"]);
        assert_eq!(words.as_deref(), Some("something in foo_wait"));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["__schedule", "schedule"]), None);
    }
}
