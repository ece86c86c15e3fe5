//! Getting a record into the ring it belongs to.
use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_get_current_comm, bpf_ktime_get_ns},
};
use fragwatch_ebpf::{COMM_LEN, Counter, Head, Kind};

use crate::{
    cgroup,
    maps::{CGROUP_EVENTS, CREATION_EVENTS, OTHER_EVENTS, count},
    thread,
};

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and can't fail.
    unsafe { bpf_ktime_get_ns() }
}

/// The head of a record about the current task.
#[inline(always)]
pub(crate) fn head(kind: Kind, creation_ns: u64) -> Head {
    let ids = bpf_get_current_pid_tgid();
    let mut comm = [0; COMM_LEN];
    // SAFETY: the buffer is as large as is said. Should it fail, the helper clears the buffer.
    unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), COMM_LEN as u32) };
    Head {
        kind: kind as u32,
        tid: ids as u32,
        tgid: (ids >> 32) as u32,
        reserved: 0,
        time_ns: now(),
        creation_ns,
        cgroup_id: cgroup::current_id(),
        comm,
    }
}

/// Lets `fill` write a record in place and submits it: to the creations' ring if it belongs to
/// one, else to the other. A full ring is counted.
#[inline(always)]
pub(crate) fn emit<T: 'static>(creation_ns: u64, fill: impl FnOnce(*mut T)) {
    let (ring, lost) = if creation_ns == 0 {
        (&OTHER_EVENTS, Counter::LostOtherEvents)
    } else {
        (&CREATION_EVENTS, Counter::LostCreationEvents)
    };
    let Some(mut entry) = ring.reserve::<T>(0) else {
        count(lost);
        if creation_ns != 0 {
            thread::note_lost();
        }
        return;
    };
    fill(entry.as_mut_ptr());
    entry.submit(0);
}

/// Lets `fill` write a record about a cgroup in place and submits it. A full ring is counted.
#[inline(always)]
pub(crate) fn emit_cgroup<T: 'static>(fill: impl FnOnce(*mut T)) {
    let Some(mut entry) = CGROUP_EVENTS.reserve::<T>(0) else {
        count(Counter::LostCgroupEvents);
        return;
    };
    fill(entry.as_mut_ptr());
    entry.submit(0);
}
