//! Writing a record into the ring that it belongs to.
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_comm};
use fragwatch_ebpf::{COMM_LEN, Counter, Head, Record};

use crate::{
    cgroup,
    counters::count,
    kernel::now,
    maps::{CGROUP_EVENTS, CREATION_EVENTS, OTHER_EVENTS},
    thread,
};

/// The head of a record about the current task.
#[inline(always)]
fn head<R: Record>(creation_ns: u64) -> Head {
    let ids = bpf_get_current_pid_tgid();
    let mut comm = [0; COMM_LEN];
    // SAFETY: the buffer is as large as is said. Should it fail, the helper clears the buffer.
    unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), COMM_LEN as u32) };
    Head {
        kind: R::KIND as u32,
        tid: ids as u32,
        tgid: (ids >> 32) as u32,
        reserved: 0,
        time_ns: now(),
        creation_ns,
        cgroup_id: cgroup::current_id(),
        comm,
    }
}

/// Lets `fill` write a record in place, with the head that it is given, and submits it: to the
/// creations' ring if it belongs to one, else to the other. A full ring is counted.
///
/// Each record wakes the agent if that has read all before it: a storm of failures inside creations
/// fills the ring while an agent that sleeps until their end would wake up.
#[inline(always)]
pub(crate) fn emit<R: Record>(creation_ns: u64, fill: impl FnOnce(*mut R, Head)) {
    if creation_ns != 0 {
        emit_in_creation(creation_ns, fill);
        return;
    }
    let Some(mut entry) = OTHER_EVENTS.reserve::<R>(0) else {
        count(Counter::LostOtherEvents);
        return;
    };
    fill(entry.as_mut_ptr(), head::<R>(0));
    entry.submit(0);
}

/// As [`emit`], inside a creation.
#[inline(always)]
pub(crate) fn emit_in_creation<R: Record>(creation_ns: u64, fill: impl FnOnce(*mut R, Head)) {
    let Some(mut entry) = CREATION_EVENTS.reserve::<R>(0) else {
        count(Counter::LostCreationEvents);
        thread::note_lost();
        return;
    };
    fill(entry.as_mut_ptr(), head::<R>(creation_ns));
    entry.submit(0);
}

/// As [`emit`], for a record about a cgroup, which no creation is connected to.
#[inline(always)]
pub(crate) fn emit_cgroup<R: Record>(fill: impl FnOnce(*mut R, Head)) {
    let Some(mut entry) = CGROUP_EVENTS.reserve::<R>(0) else {
        count(Counter::LostCgroupEvents);
        return;
    };
    fill(entry.as_mut_ptr(), head::<R>(0));
    entry.submit(0);
}
