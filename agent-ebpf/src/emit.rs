//! Writing a record into the ring that it belongs to.
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_comm},
};
use fragwatch_ebpf::{COMM_LEN, Counter, Head, Record};

use crate::{
    cgroup,
    counters::count,
    kernel::now,
    maps::{CGROUP_EVENTS, CGROUP_EVENTS_LEN, CREATION_EVENTS, OTHER_EVENTS},
    state::Thread,
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

/// Lets `fill` write a record about the current thread in place, with the head that it is given, and
/// submits it: to the creations' ring if the thread is inside a creation, whose end is recorded too
/// then; else to the other ring. A full ring is counted.
#[inline(always)]
pub(crate) fn emit<R: Record>(thread: &mut Thread, fill: impl FnOnce(*mut R, Head)) {
    thread.recorded = 1;
    emit_at(thread.creation_ns, fill);
}

/// As [`emit`], by when the creation began; 0 outside one. For the second and later records of one
/// moment.
#[inline(always)]
pub(crate) fn emit_at<R: Record>(creation_ns: u64, fill: impl FnOnce(*mut R, Head)) {
    if creation_ns == 0 {
        emit_outside(fill);
    } else {
        emit_in_creation(creation_ns, fill);
    }
}

/// As [`emit`], for a record that belongs to no creation.
#[inline(always)]
pub(crate) fn emit_outside<R: Record>(fill: impl FnOnce(*mut R, Head)) {
    let Some(mut entry) = OTHER_EVENTS.reserve::<R>(0) else {
        count(Counter::LostOtherEvents);
        return;
    };
    fill(entry.as_mut_ptr(), head::<R>(0));
    entry.submit(0);
}

/// As [`emit_at`], inside a creation.
///
/// Each record wakes the agent if that has read all before it: a storm of failures inside creations
/// fills the ring while an agent that sleeps until their end would wake up.
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
///
/// The agent reads them before it judges a creation, and else once a second: it is woken only when an
/// eighth of the ring is full.
#[inline(always)]
pub(crate) fn emit_cgroup<R: Record>(fill: impl FnOnce(*mut R, Head)) {
    let Some(mut entry) = CGROUP_EVENTS.reserve::<R>(0) else {
        count(Counter::LostCgroupEvents);
        return;
    };
    fill(entry.as_mut_ptr(), head::<R>(0));
    let unread = CGROUP_EVENTS.query(u64::from(BPF_RB_AVAIL_DATA));
    let wake = unread > u64::from(CGROUP_EVENTS_LEN / 8);
    entry.submit(u64::from(if wake { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }));
}
