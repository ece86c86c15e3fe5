//! `pids_can_fork` refuses a fork because a cgroup has as many processes as its `pids.max` allows.
//! Only refusals are recorded, of each cgroup one a second.
use aya_ebpf::{
    helpers::generated::bpf_get_current_task,
    macros::{fexit, kretprobe},
    programs::{FExitContext, RetProbeContext},
};
use fragwatch_ebpf::{CGROUP_LEVELS, ForkRefused, Step};

use super::step;
use crate::{
    account, cgroup,
    emit::emit_outside,
    kernel::{
        self, CSS_PARENT, CSS_SET_PIDS, PIDS_COUNTER, PIDS_LIMIT, TASK_CGROUPS, argument, now,
        number,
    },
    maps::REFUSED_FORKS,
};

const SECOND_NS: u64 = 1_000_000_000;

/// `struct pids_cgroup` that the child would be counted in, which begins with its css: that of
/// `cset`, or the parent's if it is NULL or not known. 0 if it can't be read.
#[inline(always)]
fn pids_cgroup(cset: u64) -> u64 {
    // SAFETY: the helper takes nothing and returns the current task's address.
    let task = unsafe { bpf_get_current_task() };
    let set = if cset == 0 { kernel::read_or_zero(task, TASK_CGROUPS.load()) } else { cset };
    kernel::read_or_zero(set, CSS_SET_PIDS.load())
}

#[inline(always)]
fn leave(cset: u64, errno: i32) {
    if errno >= 0 {
        return;
    }
    // The fork as a whole fails with it.
    step::note_reported(errno);
    let of = pids_cgroup(cset);
    let time = now();
    let id = cgroup::id_of_css(of);
    if id != 0
        && let Some(last) = REFUSED_FORKS.get_ptr(id)
    {
        // SAFETY: memory of the map. Should the element be evicted and reused meanwhile, one refusal
        // is reported too many or too few of another cgroup.
        if time.saturating_sub(unsafe { *last }) < SECOND_NS {
            return;
        }
    }
    // If it can't be kept, the next refusal is reported too.
    let _ = REFUSED_FORKS.insert(id, time, 0);
    if !account::admit(Step::Fork as u32, errno) {
        return;
    }
    let (full, processes, limit) = full_one(of);
    emit_outside::<ForkRefused>(|record, head| {
        // SAFETY: `record` is the ring's memory, reserved for exactly this struct, and every field
        // is written below before anything reads it; the names' rest is never read.
        let record = unsafe { &mut *record };
        record.head = head;
        record.processes = processes;
        record.limit = limit;
        cgroup::record_css(full, &mut record.cgroup);
    });
}

/// The nearest that has no room for one more, with what it counts and its limit: the refused charge
/// has been taken back already. Zeros if none is seen to be full.
#[inline(always)]
fn full_one(mut pids: u64) -> (u64, u64, u64) {
    for _ in 0..CGROUP_LEVELS {
        if pids == 0 {
            break;
        }
        let counter = kernel::read_or_zero::<u64>(pids, PIDS_COUNTER.load());
        let limit = kernel::read::<u64>(pids, PIDS_LIMIT.load()).unwrap_or(u64::MAX);
        if counter >= limit {
            return (pids, counter, limit);
        }
        pids = kernel::read_or_zero(pids, CSS_PARENT.load());
    }
    (0, 0, 0)
}

#[fexit]
fn fork_refused_fexit(ctx: FExitContext) -> u32 {
    // The return value stands behind the two arguments.
    leave(argument(&ctx, 1), number(&ctx, 2) as i32);
    0
}

#[kretprobe]
fn fork_refused_kretprobe(ctx: RetProbeContext) -> u32 {
    // The arguments are gone: all but a clone3 into another cgroup counts in the parent's.
    leave(0, ctx.ret());
    0
}
