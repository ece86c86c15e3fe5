//! A network namespace is created, at `copy_net_ns`.
use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use aya_log_ebpf::debug;
use fragwatch_ebpf::{Counter, NetnsSetupEnded, Victim};

use super::{memcg_charge, namespace_refused, step};
use crate::{
    account, cgroup,
    counters::count,
    emit::{End, emit_end},
    kernel::{self, NET_INUM, WANT_UNTROUBLED, argument, errno_of, now, number},
    maps::FAILED_NETNS,
    state::{Details, Opener},
    thread,
};

/// `CLONE_NEWNET` of include/uapi/linux/sched.h. Without it the old namespace is only shared.
pub(super) const CLONE_NEWNET: u64 = 0x4000_0000;

/// A creation begins with one of its namespaces. `call_flags` as in [`NetnsSetupEnded`].
#[inline(always)]
pub(super) fn begin(ctx: &impl EbpfContext, opener: Opener, namespaces: u64, call_flags: u64) {
    let Some(thread) = thread::begin_creation(opener) else { return };
    thread.namespaces = namespaces;
    thread.call_flags = call_flags;
    count(Counter::BegunCreations);
    debug!(ctx, "netns setup begins, tid {}", thread::tid());
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
    let Some(thread) = thread::creating() else { return };
    let failed = errno_of(returned) != 0;
    // A failure around it is this one, and is reported here: the kernel may skip the program that sees the
    // outer end.
    if thread.opener == Opener::Netns || thread.opener == Opener::Namespaces && failed {
        if failed {
            // If it can't be kept, the failure may be reported twice.
            let _ = FAILED_NETNS.insert(thread::tid(), now(), 0);
        }
        end(ctx, returned, || returned);
    }
}

/// The creation has ended, which is recorded if there was trouble in it. `netns` is asked for the new
/// network namespace if all went well; NULL if there is none, or it is not known.
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
    let opener = thread.opener.step();
    let is_admitted = errno == 0 || account::admit(opener, errno);
    let mut victim = Victim::Unknown;
    if errno != 0 && is_admitted {
        memcg_charge::report_refusal(thread);
        namespace_refused::report(thread);
        victim = thread::oom_victim();
    }
    if errno != 0 {
        // A clone fails with it as a whole.
        step::note_reported(errno);
    }
    // Nothing was recorded of what happened in it.
    let is_bare = thread.details == Details::Omitted;
    if is_bare {
        lost += 1;
    }
    let (call_flags, namespaces) = (thread.call_flags, thread.namespaces);
    let (omitted, omitted_stall_ns) = (thread.omitted, thread.unrecorded_stall_ns());
    let recorded = thread.recorded != 0;
    thread::end_creation();
    count(Counter::EndedCreations);
    debug!(ctx, "netns setup ends, tid {}, errno {}", thread::tid(), errno);
    if !is_admitted {
        return;
    }
    if is_bare && errno == 0 {
        if omitted == 0 {
            count(Counter::UntroubledCreations);
        } else {
            account::omit(opener, 0);
        }
        return;
    }
    if errno == 0 && lost == 0 && !recorded && WANT_UNTROUBLED.load() == 0 {
        count(Counter::UntroubledCreations);
        return;
    }
    let netns = if errno == 0 { kernel::read_or_zero(netns(), NET_INUM.load()) } else { 0 };
    let end = End { creation_ns: creation, errno, step: opener, namespaces };
    emit_end::<NetnsSetupEnded>(&end, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the arrays' rest is never read.
        let record = unsafe { &mut *record };
        record.head = head;
        record.errno = errno;
        record.netns = netns;
        record.lost = lost;
        record.victim = victim as u32;
        record.omitted = omitted;
        record.omitted_stall_ns = omitted_stall_ns;
        record.call_flags = call_flags;
        record.namespaces = namespaces;
        cgroup::record_current(&mut record.cgroup);
    });
}

#[fentry]
fn netns_setup_fentry(ctx: FEntryContext) -> u32 {
    enter(&ctx, number(&ctx, 0));
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
