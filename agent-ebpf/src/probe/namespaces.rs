//! All namespaces of one `clone` or `unshare` but the user namespace are created, at
//! `create_new_namespaces`. With a network or a pid namespace among them it is taken for a container's: services have mount
//! namespaces of their own, and few of them more.
use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};

use fragwatch_ebpf::Counter;

use super::netns_setup::{self, CLONE_NEWNET};
use crate::{
    counters::count,
    kernel::{self, NSPROXY_NET_NS, argument, errno_of, now, number},
    maps::FAILED_NETNS,
    state::Opener,
    thread,
};

const SECOND_NS: u64 = 1_000_000_000;

/// `CLONE_NEWPID` of include/uapi/linux/sched.h.
const CLONE_NEWPID: u64 = 0x2000_0000;

/// All `CLONE_NEW*` flags that this function looks at, of include/uapi/linux/sched.h: mount, cgroup,
/// uts, ipc, pid, net and time.
const NAMESPACES: u64 =
    0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | CLONE_NEWPID | CLONE_NEWNET | 0x80;

/// Whether namespaces of these flags are taken for a container's.
#[inline(always)]
pub(super) fn is_containers(flags: u64) -> bool {
    flags & (CLONE_NEWNET | CLONE_NEWPID) != 0
}

/// The namespaces among a system call's flags.
#[inline(always)]
pub(super) fn among(flags: u64) -> u64 {
    flags & NAMESPACES
}

#[inline(always)]
fn enter(ctx: &impl EbpfContext, flags: u64) {
    if is_containers(flags) {
        netns_setup::begin(ctx, Opener::Namespaces, among(flags), 0);
    } else {
        thread::drop_stale_creation();
    }
}

/// `flags` are 0 where they are not known any more.
#[inline(always)]
fn leave(ctx: &impl EbpfContext, flags: u64, nsproxy: u64) {
    if thread::creating().is_none() && is_containers(flags) && errno_of(nsproxy) != 0 {
        begin_late(ctx, flags);
    }
    let Some(thread) = thread::creating() else { return };
    match thread.opener {
        Opener::Namespaces => {}
        // The end of `copy_net_ns` was skipped.
        Opener::Netns if thread.call_flags == 0 => {
            count(Counter::UnseenReturns);
            thread.lost += 1;
        }
        Opener::Netns | Opener::Cgroup => return,
    }
    let own_net = thread.namespaces & CLONE_NEWNET != 0;
    netns_setup::end(ctx, nsproxy, || {
        if own_net { kernel::read_or_zero(nsproxy, NSPROXY_NET_NS.load()) } else { 0 }
    });
}

/// A creation has failed that was not seen to begin: the kernel skips a program that is running on the CPU
/// already, when it is preempted within. What happened in it is lost, that it failed must not be.
#[inline(always)]
fn begin_late(ctx: &impl EbpfContext, flags: u64) {
    if let Some(ended) = FAILED_NETNS.get_ptr(thread::tid()) {
        // SAFETY: memory of the map. Should the element be evicted and reused meanwhile, the failure is
        // reported twice, or not.
        if now().saturating_sub(unsafe { *ended }) < SECOND_NS {
            // It ended with `copy_net_ns`.
            return;
        }
    }
    netns_setup::begin(ctx, Opener::Namespaces, among(flags), 0);
    if let Some(thread) = thread::creating() {
        thread.lost += 1;
    }
}

#[fentry]
fn namespaces_fentry(ctx: FEntryContext) -> u32 {
    enter(&ctx, number(&ctx, 0));
    0
}

#[fexit]
fn namespaces_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the four arguments.
    leave(&ctx, number(&ctx, 0), argument(&ctx, 4));
    0
}

#[kprobe]
fn namespaces_kprobe(ctx: ProbeContext) -> u32 {
    // No flag is as high as an address is.
    if let Some(flags) = ctx.arg(0)
        && !kernel::is_kernels(flags)
    {
        enter(&ctx, flags);
    }
    0
}

#[kretprobe]
fn namespaces_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(&ctx, 0, ctx.ret());
    0
}
