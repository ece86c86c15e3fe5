//! A cgroup is created. Only what failed, or had failures or stalls inside, is recorded.
//!
//! The memory controller's part of it, `mem_cgroup_css_alloc`, alone can say that memory cgroups' ids are used up: of its steps only that for the id fails with
//! another error than `ENOMEM`.
use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit, kprobe, kretprobe, tracepoint},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext, TracePointContext},
};
use fragwatch_ebpf::{CgroupSetupEnded, Counter, Victim};

use super::memcg_charge;
use crate::{
    account, cgroup,
    counters::count,
    emit::{End, emit_end},
    kernel::{self, SYSCALL_RETURNED, argument, errno_of, is_kernels, number, read_str},
    state::{Details, Opener},
    thread,
};

/// It is there already: no failure, since creating a path means trying every part of it.
const EEXIST: i32 = -17;

#[inline(always)]
fn enter(parent: u64, name: u64) {
    if let Some(thread) = thread::begin_creation(Opener::Cgroup) {
        thread.cgroup_parent = parent;
        thread.cgroup_name = name;
        count(Counter::BegunCgroups);
    }
}

#[inline(always)]
fn leave(errno: i32) {
    let Some(thread) = thread::creating() else { return };
    if thread.opener != Opener::Cgroup {
        return;
    }
    let failed = errno < 0 && errno != EEXIST;
    let step = thread.opener.step();
    let is_admitted = !failed || account::admit(step, errno);
    let mut victim = Victim::Unknown;
    if failed && is_admitted {
        memcg_charge::report_refusal(thread);
        victim = thread::oom_victim();
    }
    let mut lost = thread.lost as u32;
    // Nothing was recorded of what happened in it.
    let is_bare = thread.details == Details::Omitted;
    if is_bare {
        lost += 1;
    }
    if thread.has_open_ends() {
        count(Counter::UnseenReturns);
        lost += 1;
    }
    let creation = thread.creation_ns;
    let (parent, name, memory_errno) =
        (thread.cgroup_parent, thread.cgroup_name, thread.memory_errno as i32);
    let (omitted, omitted_stall_ns) = (thread.omitted, thread.unrecorded_stall_ns());
    let worth_reporting = failed || thread.recorded != 0;
    thread::end_creation();
    count(Counter::EndedCgroups);
    if !worth_reporting || !is_admitted {
        return;
    }
    if is_bare && !failed {
        if omitted != 0 {
            account::omit(step, 0);
        }
        return;
    }
    let end =
        End { creation_ns: creation, errno: if failed { errno } else { 0 }, step, namespaces: 0 };
    emit_end::<CgroupSetupEnded>(&end, |record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the names' rest is never read.
        let record = unsafe { &mut *record };
        record.head = head;
        record.errno = if failed { errno } else { 0 };
        record.memory_errno = memory_errno;
        record.lost = lost;
        record.victim = victim as u32;
        record.omitted = omitted;
        record.omitted_stall_ns = omitted_stall_ns;
        // The caller's name outlives the call; one that can't be read stays empty.
        read_str(&mut record.name, name);
        cgroup::record_node(parent, &mut record.parent);
    });
}

#[fentry]
fn cgroup_setup_fentry(ctx: FEntryContext) -> u32 {
    enter(argument(&ctx, 0), argument(&ctx, 1));
    0
}

#[fexit]
fn cgroup_setup_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the three arguments.
    leave(number(&ctx, 3) as i32);
    0
}

#[kprobe]
fn cgroup_setup_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(parent), Some(name)) = (ctx.arg(0), ctx.arg(1))
        && is_kernels(parent)
        && is_kernels(name)
    {
        enter(parent, name);
    }
    0
}

#[kretprobe]
fn cgroup_setup_kretprobe(ctx: RetProbeContext) -> u32 {
    leave(ctx.ret());
    0
}

/// Ends a creation that is still under way behind its system call, because a kretprobe missed its return.
#[inline(always)]
fn end_missed(ctx: &TracePointContext) {
    let Some(thread) = thread::creating() else { return };
    if thread.opener != Opener::Cgroup {
        return;
    }
    count(Counter::UnseenReturns);
    thread.lost += 1;
    let returned = kernel::read_or_zero::<u64>(ctx.as_ptr() as u64, SYSCALL_RETURNED.load());
    leave(errno_of(returned));
}

#[tracepoint]
fn mkdir_guard_tracepoint(ctx: TracePointContext) -> u32 {
    end_missed(&ctx);
    0
}

#[tracepoint]
fn mkdirat_guard_tracepoint(ctx: TracePointContext) -> u32 {
    end_missed(&ctx);
    0
}

/// What the memory controller made of it.
#[inline(always)]
fn memory_left(css: u64) {
    if let Some(thread) = thread::creating()
        && thread.opener == Opener::Cgroup
    {
        thread.memory_errno = i64::from(errno_of(css));
    }
}

#[fexit]
fn memcg_setup_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the one argument.
    memory_left(argument(&ctx, 1));
    0
}

#[kretprobe]
fn memcg_setup_kretprobe(ctx: RetProbeContext) -> u32 {
    memory_left(ctx.ret());
    0
}
