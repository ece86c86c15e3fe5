//! The system calls that make a container's namespaces, where `copy_net_ns` itself can't be hooked:
//! `unshare(unsigned long flags)`, `clone(unsigned long flags, ...)` and
//! `clone3(struct clone_args *, size_t)` (5.10–7.2; kernel/fork.c), at the tracepoints
//! `syscalls:sys_enter_*` and `sys_exit_*`. `setns` makes none. Calls of 32-bit programs have no
//! tracepoints (`ARCH_TRACE_IGNORE_COMPAT_SYSCALLS`).
//!
//! The window is the whole call, with `CLONE_VFORK` until the child has started its program. A child
//! of `clone` returns from it too, with another thread id.
use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_probe_read_user, generated::bpf_get_current_task},
    macros::tracepoint,
    programs::TracePointContext,
};
use fragwatch_ebpf::Counter;

use super::{
    namespaces,
    netns_setup::{CLONE_NEWNET, begin, end},
};
use crate::{
    counters::count,
    kernel::{self, NSPROXY_NET_NS, SYSCALL_ARGS, SYSCALL_RETURNED, TASK_NSPROXY},
    maps::UNREAD_CALLS,
    state::Opener,
    thread::{creating, drop_stale_creation, tid},
};

#[inline(always)]
fn enter(ctx: &TracePointContext, flags: u64) {
    if namespaces::is_containers(flags) {
        begin(ctx, Opener::Netns, namespaces::among(flags), flags);
    } else {
        drop_stale_creation();
    }
}

/// `netns` is asked for the new network namespace if there is one.
#[inline(always)]
fn leave(ctx: &TracePointContext, returned: u64, netns: impl FnOnce() -> u64) {
    let own_net = creating().is_some_and(|thread| thread.namespaces & CLONE_NEWNET != 0);
    end(ctx, returned, || if own_net { netns() } else { 0 });
}

/// The call's first argument.
#[inline(always)]
fn first(ctx: &TracePointContext) -> u64 {
    kernel::read_or_zero(ctx.as_ptr() as u64, SYSCALL_ARGS.load())
}

#[inline(always)]
fn returned(ctx: &TracePointContext) -> u64 {
    kernel::read_or_zero(ctx.as_ptr() as u64, SYSCALL_RETURNED.load())
}

/// `clone_args.flags`, the first of its members. `None` if its page is not in memory: faults can't
/// be served here.
#[inline(always)]
fn clone_flags(args: u64) -> Option<u64> {
    // SAFETY: the helper checks the address and answers an error for what it can't read.
    unsafe { bpf_probe_read_user(args as *const u64) }.ok()
}

/// The current task's network namespace.
#[inline(always)]
fn current_netns() -> u64 {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    let nsproxy = kernel::read_or_zero::<u64>(task, TASK_NSPROXY.load());
    kernel::read_or_zero(nsproxy, NSPROXY_NET_NS.load())
}

#[tracepoint]
fn unshare_enter_tracepoint(ctx: TracePointContext) -> u32 {
    let flags = first(&ctx);
    enter(&ctx, flags);
    0
}

#[tracepoint]
fn unshare_exit_tracepoint(ctx: TracePointContext) -> u32 {
    leave(&ctx, returned(&ctx), current_netns);
    0
}

#[tracepoint]
fn clone_enter_tracepoint(ctx: TracePointContext) -> u32 {
    let flags = first(&ctx);
    enter(&ctx, flags);
    0
}

#[tracepoint]
fn clone_exit_tracepoint(ctx: TracePointContext) -> u32 {
    // The namespace is the child's.
    leave(&ctx, returned(&ctx), || 0);
    0
}

#[tracepoint]
fn clone3_enter_tracepoint(ctx: TracePointContext) -> u32 {
    let args = first(&ctx);
    if let Some(flags) = clone_flags(args) {
        enter(&ctx, flags);
    } else {
        // The call itself will bring the page in: its exit knows what was missed. Should the table
        // be full, its oldest entry goes.
        let _ = UNREAD_CALLS.insert(tid(), args, 0);
    }
    0
}

#[tracepoint]
fn clone3_exit_tracepoint(ctx: TracePointContext) -> u32 {
    if let Some(args) = UNREAD_CALLS.get_ptr(tid()) {
        // SAFETY: memory of the map. Should the element be evicted and reused meanwhile, another
        // call's arguments are looked at.
        let flags = clone_flags(unsafe { *args });
        // Not there any more is as good as removed.
        let _ = UNREAD_CALLS.remove(tid());
        // What can't be read now either, the call could not read.
        if flags.is_some_and(namespaces::is_containers) {
            count(Counter::UntrackedCreations);
        }
    }
    leave(&ctx, returned(&ctx), || 0);
    0
}

/// Ends a creation that is still under way here because a kretprobe missed its return. The system
/// call's own result is reported instead, which a later step of the call may have caused: so the
/// creation counts as one of which something was lost.
#[inline(always)]
fn end_missed(ctx: &TracePointContext, netns: impl FnOnce() -> u64) {
    let Some(thread) = creating() else { return };
    count(Counter::UnseenReturns);
    thread.lost += 1;
    leave(ctx, returned(ctx), netns);
}

#[tracepoint]
fn unshare_guard_tracepoint(ctx: TracePointContext) -> u32 {
    end_missed(&ctx, current_netns);
    0
}

#[tracepoint]
fn clone_guard_tracepoint(ctx: TracePointContext) -> u32 {
    end_missed(&ctx, || 0);
    0
}

#[tracepoint]
fn clone3_guard_tracepoint(ctx: TracePointContext) -> u32 {
    end_missed(&ctx, || 0);
    0
}
