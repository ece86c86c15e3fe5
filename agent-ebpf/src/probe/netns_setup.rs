//! A network namespace is created, at `copy_net_ns`.
use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use aya_log_ebpf::debug;
use fragwatch_ebpf::{Counter, NetnsSetupBegan, NetnsSetupEnded};

use super::memcg_charge;
use crate::{
    cgroup,
    counters::count,
    emit::{emit, emit_in_creation},
    kernel::{self, NET_INUM, argument, errno_of, now},
    state::Opener,
    thread,
};

/// `CLONE_NEWNET` of include/uapi/linux/sched.h. Without it the old namespace is only shared.
pub(super) const CLONE_NEWNET: u64 = 0x4000_0000;

/// A creation begins with one of its namespaces. `call_flags` as in [`NetnsSetupBegan`].
#[inline(always)]
pub(super) fn begin(ctx: &impl EbpfContext, opener: Opener, namespaces: u64, call_flags: u64) {
    let began = now();
    if !thread::begin_creation(began, opener, namespaces) {
        count(Counter::UntrackedCreations);
        return;
    }
    debug!(ctx, "netns setup begins, tid {}", thread::tid());
    emit::<NetnsSetupBegan>(began, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the arrays' rest is never read.
        let record = unsafe { &mut *record };
        record.head = head;
        record.call_flags = call_flags;
        record.namespaces = namespaces;
        cgroup::record_current(&mut record.cgroup);
    });
}

/// Where `create_new_namespaces` has begun the creation, this is a part of it.
#[inline(always)]
fn enter(ctx: &impl EbpfContext, flags: u64) {
    if thread::creating().is_some_and(|thread| thread.opener == Opener::Namespaces) {
        return;
    }
    if flags & CLONE_NEWNET == 0 {
        thread::drop_stale_creation();
        return;
    }
    begin(ctx, Opener::Netns, CLONE_NEWNET, 0);
}

#[inline(always)]
fn leave(ctx: &impl EbpfContext, returned: u64) {
    if thread::creating().is_some_and(|thread| thread.opener == Opener::Netns) {
        end(ctx, returned, || returned);
    }
}

/// The creation has ended. `netns` is asked for the new network namespace if all went well; NULL if
/// there is none, or it is not known.
#[inline(always)]
pub(super) fn end(ctx: &impl EbpfContext, returned: u64, netns: impl FnOnce() -> u64) {
    let Some(thread) = thread::creating() else { return };
    let creation = thread.creation_ns;
    let mut lost = thread.lost as u32;
    if thread.has_open_ends() {
        count(Counter::UnseenReturns);
        lost += 1;
    }
    let errno = errno_of(returned);
    if errno != 0 {
        memcg_charge::report_refusal(thread);
    }
    thread::end_creation();
    debug!(ctx, "netns setup ends, tid {}, errno {}", thread::tid(), errno);
    let netns = if errno == 0 { kernel::read(netns(), NET_INUM.load()).unwrap_or(0) } else { 0 };
    emit_in_creation::<NetnsSetupEnded>(creation, |record, head| {
        let ended = NetnsSetupEnded { head, errno, netns, lost, reserved: 0 };
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct.
        unsafe { record.write(ended) };
    });
}

#[fentry]
fn netns_setup_fentry(ctx: FEntryContext) -> u32 {
    enter(&ctx, argument(&ctx, 0));
    0
}

#[fexit]
fn netns_setup_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the three arguments.
    leave(&ctx, argument(&ctx, 3));
    0
}

#[kprobe]
fn netns_setup_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(flags) = ctx.arg(0) {
        enter(&ctx, flags);
    }
    0
}

#[kretprobe]
fn netns_setup_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(&ctx, ctx.ret());
    0
}
