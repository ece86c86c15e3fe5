//! `struct net *copy_net_ns(unsigned long flags, struct user_namespace *, struct net *old)`
//! (5.10–6.12; `u64 flags` on 7.2; net/core/net_namespace.c). `ERR_PTR` on failure.
use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use aya_log_ebpf::debug;
use fragwatch_ebpf::{Counter, Kind, NetnsSetupBegan, NetnsSetupEnded};

use super::memcg_charge;
use crate::{
    cgroup,
    emit::{emit, head, now},
    kernel::{self, NET_INUM, argument, errno_of},
    maps::count,
    thread,
};

/// `CLONE_NEWNET` of include/uapi/linux/sched.h. Without it the old namespace is only shared.
pub(super) const CLONE_NEWNET: u64 = 0x4000_0000;

/// `call_flags` as in [`NetnsSetupBegan`].
#[inline(always)]
pub(super) fn enter(ctx: &impl EbpfContext, flags: u64, call_flags: u64) {
    if flags & CLONE_NEWNET == 0 {
        thread::drop_stale_creation();
        return;
    }
    let began = now();
    if !thread::begin_creation(began) {
        count(Counter::UntrackedCreations);
        return;
    }
    debug!(ctx, "netns setup begins, tid {}", thread::tid());
    emit::<NetnsSetupBegan>(began, |record| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the arrays' rest is never read.
        let record = unsafe { &mut *record };
        record.head = head(Kind::NetnsSetupBegan, began);
        record.call_flags = call_flags;
        cgroup::record_current(&mut record.cgroup);
    });
}

/// `netns` is asked for the new namespace if there is one; NULL if it is not known.
#[inline(always)]
pub(super) fn leave(ctx: &impl EbpfContext, returned: u64, netns: impl FnOnce() -> u64) {
    let Some(thread) = thread::creating() else { return };
    let creation = thread.creation_ns;
    let mut lost = thread.lost as u32;
    if thread.has_open_ends() {
        count(Counter::UnseenReturns);
        lost += 1;
    }
    let errno = errno_of(returned);
    if errno != 0 {
        memcg_charge::tell_refusal(thread);
    }
    thread::end_creation();
    debug!(ctx, "netns setup ends, tid {}, errno {}", thread::tid(), errno);
    let netns = if errno == 0 { kernel::read(netns(), NET_INUM.load()).unwrap_or(0) } else { 0 };
    emit::<NetnsSetupEnded>(creation, |record| {
        let ended = NetnsSetupEnded {
            head: head(Kind::NetnsSetupEnded, creation),
            errno,
            netns,
            lost,
            reserved: 0,
        };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(ended) };
    });
}

#[fentry]
fn netns_setup_fentry(ctx: FEntryContext) -> u32 {
    enter(&ctx, argument(&ctx, 0), 0);
    0
}

#[fexit]
fn netns_setup_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the three arguments.
    let returned = argument(&ctx, 3);
    leave(&ctx, returned, || returned);
    0
}

#[kprobe]
fn netns_setup_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(flags) = ctx.arg(0) {
        enter(&ctx, flags, 0);
    }
    0
}

#[kretprobe]
fn netns_setup_kretprobe(ctx: RetProbeContext) -> u32 {
    let returned = ctx.ret();
    leave(&ctx, returned, || returned);
    0
}
