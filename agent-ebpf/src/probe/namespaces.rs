//! All namespaces of one `clone` or `unshare` but the user namespace are created, at
//! `create_new_namespaces`. With a network or a pid namespace among them it is taken for a container's: services have mount
//! namespaces of their own, and few of them more.
use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};

use super::netns_setup::{self, CLONE_NEWNET};
use crate::{
    kernel::{self, NSPROXY_NET_NS, argument, number},
    state::Opener,
    thread,
};

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

#[inline(always)]
fn leave(ctx: &impl EbpfContext, nsproxy: u64) {
    let Some(thread) = thread::creating() else { return };
    if thread.opener != Opener::Namespaces {
        return;
    }
    let own_net = thread.namespaces & CLONE_NEWNET != 0;
    netns_setup::end(ctx, nsproxy, || {
        if own_net { kernel::read(nsproxy, NSPROXY_NET_NS.load()).unwrap_or(0) } else { 0 }
    });
}

#[fentry]
fn namespaces_fentry(ctx: FEntryContext) -> u32 {
    enter(&ctx, number(&ctx, 0));
    0
}

#[fexit]
fn namespaces_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the four arguments.
    leave(&ctx, argument(&ctx, 4));
    0
}

#[kprobe]
fn namespaces_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(flags) = ctx.arg(0) {
        enter(&ctx, flags);
    }
    0
}

#[kretprobe]
fn namespaces_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(&ctx, ctx.ret());
    0
}
