//! The call site of an allocation: the first function on its stack outside the allocator.
use crate::model::{
    event::{Failure, StartStep},
    frame::{Frame, TRAMPOLINES},
};

/// The allocators' own functions, by the beginning of their names (5.10–7.2; mm/page_alloc.c,
/// mm/compaction.c, mm/vmscan.c, mm/slub.c, mm/slab_common.c, mm/vmalloc.c, mm/util.c,
/// mm/mempolicy.c, mm/percpu.c), and for stacks that a log printed those of 2.6.32–5.9 (mm/slab.c, mm/slob.c), the OOM killer's, those of
/// the charge to a memory cgroup, and those that print the stack.
const ALLOCATOR: &[&str] = &[
    "dump_stack",
    "dump_backtrace",
    "show_stack",
    "unwind_backtrace",
    "dump_header",
    "oom_kill_process",
    "out_of_memory",
    "mem_cgroup_out_of_memory",
    "mem_cgroup_oom",
    "try_charge",
    "charge_memcg",
    "__mem_cgroup_",
    "mem_cgroup_charge",
    "kmem_getpages",
    "cache_grow",
    "cache_alloc_refill",
    "____cache_alloc",
    "fallback_alloc",
    "slob_",
    "kmem_cache_create",
    "do_kmem_cache_create",
    "__kmem_cache_create",
    "create_cache",
    "___ratelimit",
    "warn_alloc",
    "__alloc_pages",
    "alloc_pages",
    "__alloc_frozen_pages",
    "alloc_frozen_pages",
    "get_free_pages",
    "__get_free_pages",
    "get_zeroed_page",
    "__folio_alloc",
    "folio_alloc",
    "alloc_contig",
    "try_to_compact_pages",
    "try_to_free_pages",
    "alloc_slab_page",
    "allocate_slab",
    "new_slab",
    "___slab_alloc",
    "__slab_alloc",
    "slab_alloc",
    "kmem_cache_alloc",
    "__kmem_cache_alloc",
    "kmalloc",
    "__kmalloc",
    "___kmalloc",
    "krealloc",
    "__krealloc",
    "kvmalloc",
    "__kvmalloc",
    "kvcalloc",
    "vmalloc",
    "__vmalloc",
    "vzalloc",
    "vm_area_alloc_pages",
    "alloc_large_system_hash",
    "pcpu_",
    "__alloc_percpu",
];

/// Functions on the stack of an interrupt that runs in a task's context (x86-64; kernel/softirq.c,
/// arch/x86/include/asm/idtentry.h).
const INTERRUPT: &[&str] = &[
    "handle_softirqs",
    "__do_softirq",
    "irq_exit_rcu",
    "__irq_exit_rcu",
    "asm_sysvec_",
    "asm_common_interrupt",
    "asm_exc_nmi",
];

/// The steps of a creation that are followed from their beginning, which its allocations' stacks go through.
const STEPS: &[&str] = &["copy_net_ns", "create_new_namespaces", "cgroup_mkdir"];

/// Whether an allocation's stack goes through this step. One that was not taken, has no names, or was cut by a
/// kretprobe may do so.
pub fn goes_through(failure: Option<&Failure>, step: StartStep) -> bool {
    let Some(failure) = failure else { return true };
    let named = failure.stack.iter().any(|f| f.function.is_some());
    !named || failure.stack.iter().any(|f| is_in_step(f, step) || is_any(f, TRAMPOLINES))
}

fn is_in_step(frame: &Frame, step: StartStep) -> bool {
    step.functions().any(|function| frame.is_in(function))
}

/// Whether an interrupt made the allocation in the context of a task.
pub fn is_interrupts(stack: &[Frame]) -> bool {
    stack.iter().any(|f| begins_with_any(f, INTERRUPT))
}

fn begins_with_any(frame: &Frame, prefixes: &[&str]) -> bool {
    frame.function.as_deref().is_some_and(|name| prefixes.iter().any(|p| name.starts_with(p)))
}

/// The part of a stack (innermost first) to report: from the function that requested the memory to the
/// creation's step, such as `copy_net_ns`, or to the end if no step is on it.
pub fn callers(stack: &[Frame]) -> &[Frame] {
    let first = stack.iter().position(|f| !begins_with_any(f, ALLOCATOR)).unwrap_or(stack.len());
    let callers = &stack[first..];
    let ends =
        |f: &Frame| is_any(f, STEPS) || StartStep::ALL.iter().any(|step| is_in_step(f, *step));
    let last = callers.iter().position(ends);
    last.map_or(callers, |at| &callers[..=at])
}

fn is_any(frame: &Frame, names: &[&str]) -> bool {
    names.iter().any(|name| frame.is_in(name))
}

/// Whether the stack's functions show that the creation made the allocation, and not code in interrupt
/// context. A stack without names counts as the creation's, and so does one that a kretprobe truncated.
pub fn is_creations_own(stack: &[Frame]) -> bool {
    let named = stack.iter().any(|f| f.function.is_some());
    let inside = stack.iter().any(|f| is_any(f, STEPS) || is_any(f, TRAMPOLINES));
    !named || inside && !stack.iter().any(|f| begins_with_any(f, INTERRUPT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::frame;

    fn names(frames: &[Frame]) -> Vec<&str> {
        frames.iter().filter_map(|f| f.function.as_deref()).collect()
    }

    #[test]
    fn callers_begin_after_the_allocator_and_end_at_the_creation() {
        let stack = [
            "warn_alloc",
            "__alloc_pages_slowpath.constprop.0",
            "__alloc_pages_noprof",
            "___kmalloc_large_node",
            "__kmalloc_large_noprof",
            "fw_pernet_init",
            "ops_init",
            "copy_net_ns",
            "create_new_namespaces",
        ]
        .map(|f| frame(f, None));
        assert_eq!(names(callers(&stack)), ["fw_pernet_init", "ops_init", "copy_net_ns"]);
        assert_eq!(names(callers(&stack[..6])), ["fw_pernet_init"]);
        assert!(callers(&stack[..5]).is_empty());
        assert!(callers(&[]).is_empty());
    }

    #[test]
    fn an_allocation_in_interrupt_context_is_not_the_creations() {
        let [alloc, softirq, create] =
            ["warn_alloc", "handle_softirqs", "copy_net_ns"].map(|f| frame(f, None));
        assert!(is_creations_own(&[alloc.clone(), create.clone()]));
        assert!(!is_creations_own(&[alloc.clone(), softirq, create]));
        let truncated = frame("kretprobe_trampoline", None);
        assert!(is_creations_own(&[alloc.clone(), truncated]));
        // The stack was too deep to contain the creation.
        assert!(!is_creations_own(std::slice::from_ref(&alloc)));
        assert!(is_creations_own(&[]));
        let unnamed = Frame { function: None, ..alloc };
        assert!(is_creations_own(&[unnamed]));
    }
}
